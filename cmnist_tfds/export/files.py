# SPDX-License-Identifier: Apache-2.0
"""Writes subsets as files that can be read without TFDS."""

from __future__ import annotations

import csv
import pathlib
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cmnist_tfds.cache.prepared import SAMPLE
from cmnist_tfds.export.batches import in_batches
from cmnist_tfds.formats import png
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.schema import IMAGE, LABEL, SOURCE
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS
from cmnist_tfds.system import atomic

# The names of the splits in the files of MNIST.
_IDX_SPLITS = {'train': 'train', 'test': 't10k'}
_IDX_IMAGES = 'images-idx3-ubyte'
_IDX_LABELS = 'labels-idx1-ubyte'
# The types of the values of IDX files, by NumPy's names.
_IDX_TYPES = {'>u1': 8, '>i4': 12}


def export_files(
  opened: Opened, file_format: str, folder: pathlib.Path
) -> pathlib.Path:
  """Writes both splits of a subset in a common format.

  Args:
    opened: The subset.
    file_format: One of `FORMATS`.
      'png': `<split>/<label>-<class name>/<number>.png`, the layout of
      ImageNet; the folders sort by label. `classes.txt` lists the class names.
      'idx': the four files of MNIST with their usual names, not compressed.
      'npz': `CMNIST-<name>.npz`, of the sample `cmnist_sample-<name>.npz`, with
      x_train, y_train, x_test and y_test, as in `keras.datasets`, and
      class_names.
      'csv': the layout of the published generator: the images, and for each
      split `<split>.csv` with the columns file, label, decoded_label (the class
      name) and source.
    folder: The folder to write. The files appear when all are written. They
      replace those of an earlier export of the same subset in the same format;
      `atomic.write_folder` says which other files the folder may hold.

  Returns:
    The folder.

  Raises:
    PreparationError: If the folder may not or cannot be written, or the data of
      the subset is damaged.
  """
  title = f'{opened.dataset}/{opened.subset.name}'
  with atomic.write_folder(
    folder,
    f'cmnist export of {title} as {file_format}',
    _names(opened, file_format),
  ) as unfinished:
    FORMATS[file_format](opened, unfinished)
  return folder


def _names(opened: Opened, file_format: str) -> list[str]:
  """Returns the names of files, and 'a/' for folders, of an export."""
  images, labels = _IDX_IMAGES, _IDX_LABELS
  return {
    'png': ['classes.txt', 'train/', 'test/'],
    'idx': [
      f'{n}-{part}' for n in _IDX_SPLITS.values() for part in (images, labels)
    ],
    'npz': [_npz_name(opened)],
    'csv': ['train.csv', 'test.csv', 'train/', 'test/'],
  }[file_format]


def _write_png(opened: Opened, folder: pathlib.Path) -> None:
  names = opened.class_names
  class_folders = [
    f'{label:03d}-{_to_file_name(name)}' for label, name in enumerate(names)
  ]
  (folder / 'classes.txt').write_text('\n'.join([*names, '']), 'utf-8')
  for split in SPLITS:
    for name in class_folders:
      (folder / split / name).mkdir(parents=True)
    for number, (data, label, _) in enumerate(_encoded(opened, split)):
      name = class_folders[label]
      (folder / split / name / f'{number:07d}.png').write_bytes(data)


def _write_csv(opened: Opened, folder: pathlib.Path) -> None:
  keys = [source.key for source in opened.subset.sources]
  for split in SPLITS:
    (folder / split).mkdir()
    path = folder / f'{split}.csv'
    with path.open('w', encoding='utf-8', newline='') as file:
      rows = csv.writer(file, lineterminator='\n')
      rows.writerow(['file', 'label', 'decoded_label', 'source'])
      for number, (data, label, source) in enumerate(_encoded(opened, split)):
        image = f'{split}/{number:07d}.png'
        (folder / image).write_bytes(data)
        rows.writerow([image, label, opened.class_names[label], keys[source]])


def _write_idx(opened: Opened, folder: pathlib.Path) -> None:
  # Labels of more classes do not fit into bytes, in which readers expect them.
  labels_type = '>u1' if len(opened.class_names) <= 256 else '>i4'
  for split, name in _IDX_SPLITS.items():
    view = opened.split(split)
    with (
      (folder / f'{name}-{_IDX_IMAGES}').open('wb') as images,
      (folder / f'{name}-{_IDX_LABELS}').open('wb') as labels,
    ):
      images.write(_idx_header(len(view), IMAGE_SIZE, IMAGE_SIZE))
      labels.write(_idx_header(len(view), dtype=labels_type))
      for batch in in_batches(view):
        images.write(batch[IMAGE.name].tobytes())
        labels.write(batch[LABEL.name].astype(labels_type).tobytes())


def _idx_header(*shape: int, dtype: str = '>u1') -> bytes:
  dimensions = struct.pack(f'>{len(shape)}I', *shape)
  return bytes([0, 0, _IDX_TYPES[dtype], len(shape)]) + dimensions


def _write_npz(opened: Opened, folder: pathlib.Path) -> None:
  arrays: dict[str, Any] = {}
  for split in SPLITS:
    examples = opened.split(split).read()
    arrays[f'x_{split}'] = examples[IMAGE.name]
    arrays[f'y_{split}'] = examples[LABEL.name]
  np.savez_compressed(
    folder / _npz_name(opened), class_names=opened.class_names, **arrays
  )


def _npz_name(opened: Opened) -> str:
  # The file may be copied away from the folder that says what it holds.
  dataset = SAMPLE if opened.dataset == SAMPLE else 'CMNIST'
  return f'{dataset}-{opened.subset.name}.npz'


FORMATS: dict[str, Callable[[Opened, pathlib.Path], None]] = {
  'png': _write_png,
  'idx': _write_idx,
  'npz': _write_npz,
  'csv': _write_csv,
}


def _encoded(opened: Opened, split: str) -> Iterator[tuple[bytes, int, int]]:
  """Yields the PNG, the label and the source of each example of a split."""
  for batch in in_batches(opened.split(split)):
    yield from zip(
      png.encode(batch[IMAGE.name]),
      batch[LABEL.name].tolist(),
      batch[SOURCE.name].tolist(),
      strict=True,
    )


def _to_file_name(name: str) -> str:
  """Returns a class name without characters that file names must not have."""
  return re.sub(r'[^\w-]', '_', name)
