# SPDX-License-Identifier: Apache-2.0
"""Looks into prepared datasets, and makes a small source of one's own."""

from __future__ import annotations

import gzip
import hashlib
import json
import pathlib

import numpy as np

from cmnist_tfds.origin import fingerprint

VERSION = '1.0.0'


def digest(*arrays: np.ndarray) -> str:
  """Returns the SHA-256 of arrays, with their types and shapes."""
  total = hashlib.sha256()
  for array in arrays:
    total.update(fingerprint(np.asarray(array)).encode())
  return total.hexdigest()


def tree(folder: pathlib.Path) -> dict[str, bytes]:
  """Returns all files in a folder, by path."""
  return {
    path.relative_to(folder).as_posix(): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


def shards(folder: pathlib.Path) -> dict[str, bytes]:
  """Returns the shards of a prepared dataset, by name."""
  return {n: data for n, data in tree(folder).items() if 'tfrecord' in n}


def whole(data_dir: pathlib.Path, dataset: str = 'cmnist_sample'):
  """Returns the files of each dataset that readers find, by name of subset.

  How much was downloaded is left out.
  """
  found = {}
  for path in data_dir.glob(f'{dataset}/*/{VERSION}/dataset_info.json'):
    info = json.loads(path.read_text('utf-8'))
    info.pop('downloadSize', None)
    files = tree(path.parent)
    found[path.parent.parent.name] = {**files, path.name: info}
  return found


class Toy:
  """A source of two classes, declared in TOML, and its files.

  Attributes:
    images: uint8 (n, 28, 28), by split.
    labels: uint8 (n,), by split.
    declaration: Path of the declaration. Its files are not there.
    manual: Folder in which its files are expected below `toy/`.
    where: Options of commands that use it.
  """

  def __init__(self, folder: pathlib.Path, url: str = '') -> None:
    """Writes the declaration; `url` is the folder of its files, if any."""
    rng = np.random.default_rng(0)
    self.images = {
      split: rng.integers(0, 256, (count, 28, 28), np.uint8)
      for split, count in (('train', 40), ('test', 20))
    }
    self.labels = {
      split: rng.permutation(np.arange(len(images)) % 2).astype(np.uint8)
      for split, images in self.images.items()
    }
    self.files = {
      f'{split}-{part}.gz': gzip.compress(idx(arrays[split]), mtime=0)
      for split in self.images
      for part, arrays in (('images', self.images), ('labels', self.labels))
    }
    self.manual = folder / 'manual'
    self.manual.mkdir(parents=True)
    self.data_dir = folder / 'data'
    # Files next to a declaration are found too; none are there.
    self.declaration = folder / 'declared/toy.toml'
    self.declaration.parent.mkdir()
    self.declaration.write_text(self._declaration(url), 'utf-8')
    self.where = [
      *('--sources', self.declaration),
      *('--data_dir', self.data_dir, '--manual_dir', self.manual),
    ]

  def _declaration(self, url: str) -> str:
    lines = [
      "homepage = 'https://example.org'",
      "license = 'CC0'",
      "citation = '@misc{toy, title = {Toy}}'",
      '[[source]]',
      "key = 'Ty'",
      "title = 'Toy'",
      "classes = ['toy one', 'toy two']",
      "layout = 'idx'",
    ]
    for split, images in self.images.items():
      lines += [
        f'[source.{split}]',
        f'num_examples = {len(images)}',
        f'class_counts = {len(images) // 2}',
      ]
      for part, arrays in (('images', self.images), ('labels', self.labels)):
        name = f'{split}-{part}.gz'
        lines += [
          f'[source.{split}.{part}]',
          f"path = 'toy/{name}'",
          f'size = {len(self.files[name])}',
          f"sha256 = '{hashlib.sha256(self.files[name]).hexdigest()}'",
          f"fingerprint = '{fingerprint(arrays[split])}'",
          *([f"urls = ['{url}/toy/{name}']"] if url else []),
        ]
    return '\n'.join(lines)

  def write(self, **changed: bytes) -> None:
    """Writes its files; those that are named with other bytes."""
    for name, data in {**self.files, **changed}.items():
      (self.manual / 'toy').mkdir(exist_ok=True)
      (self.manual / 'toy' / name).write_bytes(data)


def idx(array: np.ndarray) -> bytes:
  """Returns an IDX file of bytes."""
  head = bytes([0, 0, 8, array.ndim])
  return head + np.array(array.shape, '>u4').tobytes() + array.tobytes()
