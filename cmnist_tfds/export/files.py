# SPDX-License-Identifier: Apache-2.0
"""Writes subsets as files that can be read without TFDS."""

from __future__ import annotations

import csv
import pathlib
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from isal import igzip

from cmnist_tfds.formats import png
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.load.split_view import FEATURE_NAMES, SplitView
from cmnist_tfds.schema import IMAGE, LABEL, ROW, SOURCE, WRITER
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS
from cmnist_tfds.subsets import SAMPLE
from cmnist_tfds.system import atomic, streams

# The names of the splits in the files of MNIST.
_IDX_SPLITS = {'train': 'train', 'test': 't10k'}
_IDX_PARTS = _IDX_IMAGES, _IDX_LABELS = 'images-idx3-ubyte', 'labels-idx1-ubyte'
# An export reads so many examples at once, so that it needs little memory.
_BATCH_SIZE = 4096
_NPZ = '{}.npz'
_NPZ_FEATURES = [f.name for f in (IMAGE, LABEL, SOURCE, ROW, WRITER)]
_KERAS = {IMAGE.name: 'x', LABEL.name: 'y'}
_CLASSES = 'classes.txt'
_NOT_IN_FILE_NAMES = re.compile(r'[^\w-]')


def export_files(
  opened: Opened, file_format: str, folder: pathlib.Path
) -> None:
  """Writes both splits of a subset in a common format.

  Args:
    opened: The subset.
    file_format: One of `FORMATS`.
      'png': `<split>/<label>-<class name>/<number>.png`, the layout of
      ImageNet; the folders sort by label. `<split>.txt` lists the files (an
      imglist): path, space, label.
      'idx': the four files of MNIST with their usual names, and compressed, as
      `.gz`.
      'npz': `CMNIST-<name>.npz`, of the sample `cmnist_sample-<name>.npz`, with
      x_train, y_train, x_test and y_test, as in `keras.datasets`, class_names,
      and for each split source (numbers in source_keys), row and writer.
      'csv': the layout of the published generator: the images, and for each
      split `<split>.csv` with the columns file, label, decoded_label (the class
      name) and source.
      'csv-pixels': `<split>.csv` as on Kaggle, with the columns label and
      pixel0 to pixel783, row by row.
      Each also has `classes.txt`, the class names by label, one on a line.
    folder: The folder to write. The files appear when all are written. They
      replace those of an earlier export of the same subset in the same format;
      `atomic.write_folder` says which other files the folder may hold.

  Raises:
    PreparationError: If the folder may not or cannot be written, or the data of
      the subset is damaged.
  """
  title = f'{opened.dataset}/{opened.subset.name}'
  write, names = FORMATS[file_format]
  with atomic.write_folder(
    folder,
    f'cmnist export of {title} as {file_format}',
    [_CLASSES, *(name.format(_file_title(opened)) for name in names)],
  ) as unfinished:
    text = '\n'.join([*opened.subset.class_names, ''])
    (unfinished / _CLASSES).write_text(text, 'utf-8')
    write(opened, unfinished)


def _write_png(opened: Opened, folder: pathlib.Path) -> None:
  class_folders = [
    f'{label:03d}-{_NOT_IN_FILE_NAMES.sub("_", name)}/'
    for label, name in enumerate(opened.subset.class_names)
  ]
  for split in SPLITS:
    for name in class_folders:
      (folder / split / name).mkdir(parents=True)
    images = _write_images(opened, folder, split, class_folders)
    lines = [f'{image} {label}\n' for image, label, _ in images]
    (folder / f'{split}.txt').write_text(''.join(lines), 'utf-8')


def _write_csv(opened: Opened, folder: pathlib.Path) -> None:
  names = opened.subset.class_names
  keys = [source.key for source in opened.subset.sources]
  for split in SPLITS:
    (folder / split).mkdir()
    path = folder / f'{split}.csv'
    with path.open('w', encoding='utf-8', newline='') as file:
      rows = csv.writer(file, lineterminator='\n')
      rows.writerow(['file', 'label', 'decoded_label', 'source'])
      for image, label, source in _write_images(opened, folder, split):
        rows.writerow([image, label, names[label], keys[source]])


def _write_pixels(opened: Opened, folder: pathlib.Path) -> None:
  count = IMAGE_SIZE**2
  for split in SPLITS:
    with (folder / f'{split}.csv').open('w', newline='') as file:
      rows = csv.writer(file, lineterminator='\n')
      rows.writerow(['label', *(f'pixel{number}' for number in range(count))])
      for batch in in_batches(opened.split(split)):
        pixels = batch[IMAGE.name].reshape(-1, count)
        rows.writerows(np.c_[batch[LABEL.name], pixels].tolist())


def _write_idx(opened: Opened, folder: pathlib.Path) -> None:
  # Labels of more classes do not fit into bytes, in which readers expect them.
  many = opened.subset.num_classes > 256
  code, dtype = (12, '>i4') if many else (8, '>u1')
  for split, name in _IDX_SPLITS.items():
    view = opened.split(split)
    labels = _idx_header(code, len(view)) + view.labels.astype(dtype).tobytes()
    (folder / f'{name}-{_IDX_LABELS}').write_bytes(labels)
    with (folder / f'{name}-{_IDX_IMAGES}').open('wb') as file:
      file.write(_idx_header(8, len(view), IMAGE_SIZE, IMAGE_SIZE))
      for batch in in_batches(view):
        file.write(batch[IMAGE.name].tobytes())
  # Some programs read only plain files, others only packed ones.
  for path in list(folder.glob('*-ubyte')):
    with (
      path.open('rb') as plain,
      igzip.IGzipFile(f'{path}.gz', 'wb', mtime=0) as packed,
    ):
      shutil.copyfileobj(plain, packed)


def _idx_header(code: int, *shape: int) -> bytes:
  return struct.pack(f'>4B{len(shape)}I', 0, 0, code, len(shape), *shape)


def _write_npz(opened: Opened, folder: pathlib.Path) -> None:
  arrays: dict[str, Any] = {}
  for split in SPLITS:
    for name, values in opened.split(split).read(_NPZ_FEATURES).items():
      arrays[f'{_KERAS.get(name, name)}_{split}'] = values
  np.savez_compressed(
    folder / _NPZ.format(_file_title(opened)),
    class_names=opened.subset.class_names,
    source_keys=[source.key for source in opened.subset.sources],
    **arrays,
  )


def _file_title(opened: Opened) -> str:
  # The file may be copied away from the folder that says what it holds.
  dataset = SAMPLE if opened.dataset == SAMPLE else 'CMNIST'
  return f'{dataset}-{opened.subset.name}'


_IDX_FILES = [
  f'{name}-{part}{ending}'
  for name in _IDX_SPLITS.values()
  for part in _IDX_PARTS
  for ending in ('', '.gz')
]
_Write = Callable[[Opened, pathlib.Path], None]
# For each format, what writes it, and the names of its files, besides that of the
# class names; 'a/' is a folder.
FORMATS: dict[str, tuple[_Write, Sequence[str]]] = {
  'png': (_write_png, ('train.txt', 'test.txt', 'train/', 'test/')),
  'idx': (_write_idx, _IDX_FILES),
  'npz': (_write_npz, (_NPZ,)),
  'csv': (_write_csv, ('train.csv', 'test.csv', 'train/', 'test/')),
  'csv-pixels': (_write_pixels, ('train.csv', 'test.csv')),
}


def in_batches(
  view: SplitView, features: Sequence[str] = FEATURE_NAMES
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the examples of a split in order, some thousands at a time.

  A progress bar shows on terminals how many of them are done.

  Args:
    view: The split.
    features: Names of the features.

  Yields:
    An array of values for each feature, by its name.

  Raises:
    PreparationError: If the data of the subset is damaged.
  """
  with streams.progress_bar(
    desc='Writing', total=len(view), unit=' examples', unit_scale=True
  ) as bar:
    for start in range(0, len(view), _BATCH_SIZE):
      yield view.take(slice(start, start + _BATCH_SIZE), features)
      bar.update(min(_BATCH_SIZE, len(view) - start))


def _write_images(
  opened: Opened, folder: pathlib.Path, split: str, places: Sequence[str] = ()
) -> Iterator[tuple[str, int, int]]:
  """Writes the images of a split as PNG, each to the place of its label, if given.

  Yields:
    The path, the label and the source of each.
  """
  number = 0
  for batch in in_batches(opened.split(split)):
    labels, sources = batch[LABEL.name].tolist(), batch[SOURCE.name].tolist()
    for image, label, source in zip(
      png.encode(batch[IMAGE.name]), labels, sources, strict=True
    ):
      path = f'{split}/{places[label] if places else ""}{number:07d}.png'
      (folder / path).write_bytes(image)
      yield path, label, source
      number += 1
