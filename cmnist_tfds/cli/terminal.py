# SPDX-License-Identifier: Apache-2.0
"""What commands print, and the exit statuses of those that fail."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from cmnist_tfds.scoring import report
from cmnist_tfds.scoring.intervals import Record
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import printable

FAILED = 1
USAGE = 2


def fail(error: object, status: int = FAILED) -> int:
  """Prints an error on stderr; returns the exit status."""
  shown = '\n'.join(map(printable, str(error).split('\n')))
  print(f'cmnist: {shown}', file=sys.stderr)
  if sys.exc_info()[0]:
    streams.LOG.debug('it was raised here', exc_info=True)
  return status


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
  """Prints what this package logs on stderr, in lines like errors.

  Yields:
    Nothing.
  """
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(logging.Formatter('cmnist: %(levelname)s: %(message)s'))
  handler.addFilter(_as_lines)
  level, propagates = streams.LOG.level, streams.LOG.propagate
  streams.LOG.addHandler(handler)
  streams.LOG.propagate = False
  try:
    yield
  finally:
    streams.LOG.removeHandler(handler)
    streams.LOG.setLevel(level)
    streams.LOG.propagate = propagates


def _as_lines(record: logging.LogRecord) -> bool:
  record.levelname = record.levelname.lower()
  record.msg, record.args = printable(record.getMessage()), None
  return True


def print_report(
  reported: Record, sections: Iterable[report.Section], format_: str
) -> None:
  """Prints a report of predictions.

  Args:
    reported: The record that JSON gives.
    sections: What people read.
    format_: 'text', 'markdown' or 'json'.
  """
  if format_ == 'json':
    print_json(reported.to_dict())
  elif format_ == 'markdown':
    print(report.to_markdown(sections), end='')
  else:
    for number, section in enumerate(sections):
      print('\n' * bool(number) + section.title)
      print_table(section.rows)
      for line in section.lines:
        print_wrapped(line)


def print_wrapped(text: str, indent: int = 0) -> None:
  """Prints text in lines that fit the terminal.

  Args:
    text: The text. Its own line ends do not count. A path or an address that is
      longer than a line stays whole, so that it can be copied.
    indent: How many spaces precede each line.
  """
  wrapped = textwrap.fill(
    ' '.join(text.split()),
    max(shutil.get_terminal_size().columns - indent, 1),
    break_long_words=False,
    break_on_hyphens=False,
  )
  print(textwrap.indent(wrapped, ' ' * indent))


def print_json(record: Any) -> None:
  """Prints a record, or several, as JSON that any terminal can show."""
  plain = msgspec.to_builtins(record, str_keys=True, enc_hook=str)
  # An empty text stands for nothing in some records.
  parsed = json.loads(
    json.dumps(plain),
    object_hook=lambda o: {k: None if v == '' else v for k, v in o.items()},
  )
  print(json.dumps(parsed, indent=2))


def tsv(rows: Iterable[Iterable[Any]]) -> str:
  """Returns rows as tab-separated values; None is empty."""
  out = io.StringIO()
  csv.writer(out, delimiter='\t', lineterminator='\n').writerows(rows)
  return out.getvalue()


def print_table(rows: Sequence[Sequence[Any]]) -> None:
  """Prints rows in aligned columns, numbers to the right.

  Args:
    rows: Rows with the same number of cells, perhaps below a header. Integers are
      printed with thousands separators, None as a question mark.
  """
  columns = []
  for column in zip(*rows, strict=True):
    shown = ('?' if cell is None else cell for cell in column)
    cells = [f'{c:,}' if isinstance(c, int) else str(c) for c in shown]
    align = '>' if isinstance(column[-1], int | float | None) else '<'
    width = max(map(len, cells))
    columns.append([f'{cell:{align}{width}}' for cell in cells])
  for row in zip(*columns, strict=True):
    print('  '.join(row).rstrip())
