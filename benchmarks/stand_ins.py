# SPDX-License-Identifier: Apache-2.0
"""Full-size stand-ins for the origin files.

Machines that measure may lack the origin files. Stand-ins have the formats, the
class counts and about the sizes of the real files. Their images are drawn:
strokes on black, which compress about as well as real images. Real files are
used where they are available.

Measuring processes change the records of the sources so that the stand-ins
count as the published files. Therefore the package reads and verifies them with
the same code as real files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pathlib
import zipfile
from concurrent import futures
from typing import Any

import msgspec

from cmnist_tfds import sources as sources_lib
from cmnist_tfds.sources import OriginFile, Source, Split

_RECORDS = 'stand_ins.json'

# The number of different drawings. Images are variants of them.
_DRAWINGS = 2048
_STROKES = 3
_POINTS = 40
_MAX_SHIFT = 2
# The number of images that are made at once.
_CHUNK = 8192


def make(
  folder: pathlib.Path, scale: int, real_files: pathlib.Path | None
) -> None:
  """Makes the stand-ins, unless the folder has them.

  Args:
    folder: The folder for the stand-ins, in the layout of a manual folder.
    scale: The stand-ins have one example for so many of a source.
    real_files: A folder with real origin files in the same layout. They are
      used for the splits of which both files are there.
  """
  if (folder / _RECORDS).exists():
    return
  folder.mkdir(parents=True, exist_ok=True)
  records: dict[str, Any] = {}
  drawn = []
  for source in sources_lib.SOURCES:
    for split in source.splits.values():
      if real_files and all(
        (real_files / file.path).is_file() for file in split.files
      ):
        for file in split.files:
          link = folder / file.path
          link.parent.mkdir(exist_ok=True)
          link.symlink_to(real_files.resolve() / file.path)
      else:
        drawn.append((source, split))
  drawings = draw(_DRAWINGS)
  with (
    futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    _Writer(folder) as writer,
  ):
    making = [
      pool.submit(_make_split, source, split, scale, drawings, seed)
      for seed, (source, split) in enumerate(drawn)
    ]
    for (_, split), made in zip(drawn, making, strict=True):
      images, labels, class_counts = made.result()
      for file, data in ((split.images, images), (split.labels, labels)):
        writer.write(file, data)
        records[file.path] = {
          'size': len(data),
          'md5': hashlib.md5(data).hexdigest(),
          'sha256': hashlib.sha256(data).hexdigest(),
        }
      records[split.images.path]['class_counts'] = class_counts
  (folder / _RECORDS).write_text(json.dumps(records), 'utf-8')


def use(folder: pathlib.Path) -> None:
  """Makes the stand-ins count as the published files in this process.

  Call it before any subset is looked up.

  Args:
    folder: The folder that was given to `make`.
  """
  records = json.loads((folder / _RECORDS).read_text('utf-8'))
  for source in sources_lib.SOURCES:
    splits = {
      name: _stand_in(split, records) if split.images.path in records else split
      for name, split in source.splits.items()
    }
    # Sources are compared by identity, so they are changed, not replaced.
    for name, split in splits.items():
      msgspec.structs.force_setattr(source, name, split)
    vars(source).clear()


def _stand_in(split: Split, records: dict[str, Any]) -> Split:
  def changed(file: OriginFile) -> OriginFile:
    record = records[file.path]
    return msgspec.structs.replace(
      file,
      size=record['size'],
      md5=record['md5'],
      sha256=record['sha256'],
      git_blob=None,
      fingerprint=None,
      equivalents=(),
    )

  counts = tuple(records[split.images.path]['class_counts'])
  return msgspec.structs.replace(
    split,
    images=changed(split.images),
    labels=changed(split.labels),
    num_examples=sum(counts),
    class_counts=counts,
  )


class _Writer:
  """Writes files to a folder, and members of archives into the archives."""

  def __init__(self, folder: pathlib.Path):
    self._folder = folder
    self._archives: dict[str, zipfile.ZipFile] = {}

  def __enter__(self) -> _Writer:
    return self

  def __exit__(self, *_: object) -> None:
    for archive in self._archives.values():
      archive.close()

  def write(self, file: OriginFile, data: bytes) -> None:
    path = self._folder / (file.archive or file).path
    path.parent.mkdir(exist_ok=True)
    if file.archive is None:
      path.write_bytes(data)
      return
    if file.archive.path not in self._archives:
      self._archives[file.archive.path] = zipfile.ZipFile(path, 'w')
    self._archives[file.archive.path].writestr(file.member, data)


def _make_split(
  source: Source, split: Split, scale: int, drawings: Any, seed: int
) -> tuple[bytes, bytes, list[int]]:
  """Returns the files with images and with labels, and the class counts."""
  import numpy as np

  rng = np.random.default_rng(seed)
  num_classes = len(source.class_names)
  counts = split.class_counts or [
    len(part)
    for part in np.array_split(np.arange(split.num_examples), num_classes)
  ]
  counts = [max(1, count // scale) for count in counts]
  labels = np.repeat(np.array(source.raw_labels, np.uint8), counts)
  rng.shuffle(labels)
  parts = [
    vary(rng, drawings, min(_CHUNK, len(labels) - start)).tobytes()
    for start in range(0, len(labels), _CHUNK)
  ]
  shape = (len(labels), sources_lib.IMAGE_SIZE, sources_lib.IMAGE_SIZE)
  return (
    _pack(source.layout, shape, parts),
    _pack(source.layout, shape[:1], [labels.tobytes()]),
    counts,
  )


def draw(count: int) -> Any:
  """Returns drawings of curved strokes, uint8 (count, 28, 28)."""
  import numpy as np

  rng = np.random.default_rng(count)
  size = sources_lib.IMAGE_SIZE
  at = np.linspace(0, 1, _POINTS)
  weights = np.stack([(1 - at) ** 2, 2 * at * (1 - at), at**2], axis=1)
  bends = rng.uniform(6, size - 6, (count, _STROKES, 3, 2))
  points = (weights @ bends).reshape(count, -1, 2)
  spread = np.exp(-(((points[..., None] - np.arange(size)) / 2.0) ** 2))
  ink = spread[:, :, 0].transpose(0, 2, 1) @ spread[:, :, 1]
  return np.minimum(30 * ink, 255).astype(np.uint8)


def vary(rng: Any, drawings: Any, count: int) -> Any:
  """Returns random drawings, shifted and with noise in their gray pixels."""
  import numpy as np

  size = sources_lib.IMAGE_SIZE
  margin = [(_MAX_SHIFT, _MAX_SHIFT)] * 2
  shifted = np.lib.stride_tricks.sliding_window_view(
    np.pad(drawings, [(0, 0), *margin]), (size, size), axis=(1, 2)
  )
  down, right = rng.integers(0, 2 * _MAX_SHIFT + 1, (2, count))
  images = shifted[rng.integers(0, len(drawings), count), down, right]
  noise = rng.integers(0, 32, images.shape, np.uint8)
  noise[(images < 32) | (images == 255)] = 0
  return images - noise


def _pack(layout: str, shape: tuple[int, ...], parts: list[bytes]) -> bytes:
  """Returns a file in the layout 'idx' or 'npz'."""
  import numpy as np

  out = io.BytesIO()
  if layout == 'npz':
    with (
      zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as npz,
      npz.open('arr_0.npy', 'w') as member,
    ):
      header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
      np.lib.format.write_array_header_1_0(member, header)
      for part in parts:
        member.write(part)
  else:
    with gzip.GzipFile('', 'wb', 1, out, mtime=0) as idx:
      idx.write(bytes([0, 0, 8, len(shape)]) + np.array(shape, '>u4').tobytes())
      for part in parts:
        idx.write(part)
  return out.getvalue()
