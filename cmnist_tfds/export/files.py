# SPDX-License-Identifier: Apache-2.0
"""Subsets as files that need no TFDS to be read."""

from __future__ import annotations

import csv
import pathlib
import re
import struct
from collections.abc import Callable, Iterator

import numpy as np

from cmnist_tfds import atomic
from cmnist_tfds.formats import png
from cmnist_tfds.load import numpy_arrays
from cmnist_tfds.load.examples import Examples
from cmnist_tfds.load.open_subset import Readable
from cmnist_tfds.load.reader import AT_ONCE
from cmnist_tfds.sources import SPLITS

# MNIST's own names of its splits.
_IDX_SPLITS = {'train': 'train', 'test': 't10k'}
_IDX_UINT8 = 8

_Splits = dict[str, Examples]


def export(
  found: Readable, file_format: str, folder: pathlib.Path
) -> pathlib.Path:
  """Writes both splits of a subset in a common format.

  Args:
    found: The subset.
    file_format: One of `FORMATS`.
      'png': `<split>/<label>-<class name>/<number>.png`, as ImageNet is laid
      out; sorted, the folders are in the order of the labels. `classes.txt` has
      the names as they are.
      'idx': the four files of MNIST, by their names and not compressed.
      'npz': `CMNIST-<name>.npz` with x_train, y_train, x_test, y_test, as
      `keras.datasets` has them, and class_names.
      'csv': the published generator's layout: `<split>.csv` with the columns
      file, label, decoded_label (the class name) and source, and the images.
    folder: Where to; it must be new or empty. It appears when all is written.

  Returns:
    The folder.

  Raises:
    PreparationError: If the folder is not empty, or a shard is damaged.
    MemoryShortageError: If the subset does not fit into memory.
    OSError: If a file cannot be written.
  """
  atomic.check_folder(folder)
  examples = dict(zip(SPLITS, numpy_arrays.read(found, *SPLITS), strict=True))
  with atomic.write_folder(folder) as unfinished:
    FORMATS[file_format](found, examples, unfinished)
  return folder


def _write_png(found: Readable, splits: _Splits, folder: pathlib.Path) -> None:
  names = found.class_names
  classes = [f'{label:03d}-{_safe(name)}' for label, name in enumerate(names)]
  (folder / 'classes.txt').write_text('\n'.join([*names, '']), 'utf-8')
  for split, examples in splits.items():
    for name in classes:
      (folder / split / name).mkdir(parents=True)
    for number, data in enumerate(_pngs(examples)):
      name = classes[examples.labels[number]]
      (folder / split / name / f'{number:07d}.png').write_bytes(data)


def _write_csv(found: Readable, splits: _Splits, folder: pathlib.Path) -> None:
  keys = [source.key for source in found.subset.sources]
  for split, examples in splits.items():
    (folder / split).mkdir()
    path = folder / f'{split}.csv'
    with path.open('w', encoding='utf-8', newline='') as file:
      rows = csv.writer(file, lineterminator='\n')
      rows.writerow(['file', 'label', 'decoded_label', 'source'])
      for number, data in enumerate(_pngs(examples)):
        image = f'{split}/{number:07d}.png'
        (folder / image).write_bytes(data)
        label = int(examples.labels[number])
        source = keys[examples.sources[number]]
        rows.writerow([image, label, found.class_names[label], source])


def _write_idx(found: Readable, splits: _Splits, folder: pathlib.Path) -> None:
  del found
  for split, examples in splits.items():
    name = _IDX_SPLITS[split]
    _write_idx_file(folder / f'{name}-images-idx3-ubyte', examples.images)
    labels = examples.labels.astype(np.uint8)
    _write_idx_file(folder / f'{name}-labels-idx1-ubyte', labels)


def _write_idx_file(path: pathlib.Path, array: np.ndarray) -> None:
  shape = struct.pack(f'>{array.ndim}I', *array.shape)
  with path.open('wb') as file:
    file.write(bytes([0, 0, _IDX_UINT8, array.ndim]) + shape)
    file.write(array.data)


def _write_npz(found: Readable, splits: _Splits, folder: pathlib.Path) -> None:
  train, test = (splits[split] for split in SPLITS)
  np.savez_compressed(
    folder / f'{found.subset.title}.npz',
    x_train=train.images,
    y_train=train.labels,
    x_test=test.images,
    y_test=test.labels,
    class_names=np.array(found.class_names),
  )


FORMATS: dict[str, Callable[[Readable, _Splits, pathlib.Path], None]] = {
  'png': _write_png,
  'idx': _write_idx,
  'npz': _write_npz,
  'csv': _write_csv,
}


def _pngs(examples: Examples) -> Iterator[bytes]:
  for start in range(0, len(examples), AT_ONCE):
    yield from png.encode(examples.images[start : start + AT_ONCE])


def _safe(name: str) -> str:
  """Returns a class name that no file system takes for anything else."""
  return re.sub(r'[^\w-]', '_', name)
