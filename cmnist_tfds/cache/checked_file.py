# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, and that tell when they are damaged.

A file is one line of JSON, padded to `_HEADER_SIZE`, and a body of bytes. The
line says what the body is, how long it is and which checksum it has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
from collections.abc import Iterable
from typing import Any

import google_crc32c
import numpy as np

# Ends the name of a file that is being written.
PART_SUFFIX = '.part'

_HEADER_SIZE = 1024


class DamagedError(Exception):
  """A file that is not as it was written; says how."""


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
  """What a file holds.

  Attributes:
    fields: What its first line says, as given to `write`.
    body: uint8 (num_bytes,), mapped and read-only.
  """

  fields: dict[str, Any]
  body: np.ndarray


def write(
  path: pathlib.Path, fields: dict[str, Any], parts: Iterable[bytes]
) -> None:
  """Writes a file beside its place and renames it.

  Args:
    path: Where it shall be; what is there is replaced.
    fields: What its first line shall say, fit for JSON.
    parts: The body, in parts.

  Raises:
    OSError: If it cannot be written; then nothing is left behind.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f'{path.name}.{secrets.token_hex(8)}{PART_SUFFIX}')
  with contextlib.ExitStack() as cleanup:
    file = cleanup.enter_context(open(part, 'xb'))
    cleanup.callback(part.unlink, missing_ok=True)
    file.write(bytes(_HEADER_SIZE))
    num_bytes = crc = 0
    for data in parts:
      file.write(data)
      num_bytes += len(data)
      crc = google_crc32c.extend(crc, data)
    file.seek(0)
    file.write(_header(fields, num_bytes, crc))
    file.close()
    os.replace(part, path)


def read(path: pathlib.Path) -> Contents:
  """Maps a file and checks it.

  Args:
    path: The file.

  Returns:
    What it holds.

  Raises:
    FileNotFoundError: If it is not there.
    DamagedError: If it is not as it was written.
  """
  fields = read_fields(path)
  data = np.memmap(path, np.uint8, mode='r')
  body = data[_HEADER_SIZE:].view(np.ndarray)
  crc = google_crc32c.value(body)
  if data[:_HEADER_SIZE].tobytes() != _header(fields, len(body), crc):
    raise DamagedError(f'{path} fails its checksum.')
  return Contents(fields, body)


def read_fields(path: pathlib.Path) -> dict[str, Any]:
  """Returns what the first line of a file says, without checking the body.

  Args:
    path: The file.

  Returns:
    The fields given to `write`.

  Raises:
    FileNotFoundError: If it is not there.
    DamagedError: If there is no such line.
  """
  with open(path, 'rb') as file:
    line = file.read(_HEADER_SIZE)
  try:
    fields = json.loads(line)['fields']
  except (ValueError, TypeError, KeyError) as err:
    raise DamagedError(f'{path} does not begin as it should.') from err
  if not isinstance(fields, dict):
    raise DamagedError(f'{path} does not begin as it should.')
  return fields


def _header(fields: dict[str, Any], num_bytes: int, crc: int) -> bytes:
  header = {'fields': fields, 'num_bytes': num_bytes, 'crc32c': crc}
  line = json.dumps(header, ensure_ascii=True).encode()
  if len(line) >= _HEADER_SIZE:
    raise ValueError(f'The fields take {len(line)} bytes: {fields}')
  return line.ljust(_HEADER_SIZE - 1) + b'\n'
