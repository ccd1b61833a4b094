# SPDX-License-Identifier: Apache-2.0
# coding=utf-8
# Copyright 2026 The TensorFlow Datasets Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""CMNIST: MNIST-like datasets concatenated into 134 harder benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import gzip
import hashlib
import itertools
import string
from typing import BinaryIO
import zipfile

from etils import epath
import numpy as np
import tensorflow_datasets.public_api as tfds

_SPLITS = ('train', 'test')
# Training examples of each class in the reduced forms.
_REDUCED_SIZES = (1, 5, 10, 50, 100)

_EMNIST = 'https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip#gzip/emnist-'
_KUZUSHIJI = 'https://codh.rois.ac.jp/kmnist/dataset'
_KUZUSHIJI_LICENSE = 'CC BY-SA 4.0, with an attribution text'
_NOTMNIST = 'https://github.com/davidflanagan/notMNIST-to-MNIST/raw/master'
_IDX = '{split}-{part}-ubyte.gz'

# Files whose SHA-256 nobody has published, with their MD5.
UNREGISTERED = {
    f'{_NOTMNIST}/train-images-idx3-ubyte.gz': (
        'd916d7283fce4d08db9867c640ec0042'
    ),
}


@dataclasses.dataclass(frozen=True)
class Source:
  """One of the datasets that CMNIST concatenates.

  Attributes:
    key: Its abbreviation in the names of configs.
    title: Its name.
    class_names: Its class names, by ascending label.
    url: URL of its files, with places for the split and for what the file has;
      `#` precedes the name of a file in a zip archive.
    parts: What `{part}` is for images and for labels.
    license: The license that it states.
    first_label: The label of the first class in its files.
    test: What `{split}` is for the test split.
    mixed: The labels that X-12 and X-24 take of it.
  """

  key: str
  title: str
  class_names: Sequence[str]
  url: str
  parts: tuple[str, str] = ('images-idx3', 'labels-idx1')
  license: str = 'none stated'
  first_label: int = 0
  test: str = 'test'
  mixed: Mapping[int, Sequence[int]] = dataclasses.field(default_factory=dict)

  def files(self, split: str) -> list[str]:
    """Returns the URLs of the images and of the labels of a split."""
    name = self.test if split == 'test' else split
    return [self.url.format(split=name, part=part) for part in self.parts]

  @property
  def all_labels(self) -> Sequence[int]:
    return range(self.first_label, self.first_label + len(self.class_names))


_UPPER = string.digits + string.ascii_uppercase
# Upper and lower case are one class where they look alike.
_MERGED = _UPPER + 'abdefghnqrt'

_CLOTHES = (
    'T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag,'
    ' Ankle boot'
).split(', ')

# Keys and labels follow this order.
SOURCES = (
    Source(
        'E',
        'EMNIST MNIST',
        string.digits,
        f'{_EMNIST}mnist-{_IDX}',
        mixed={12: (0, 4), 24: (0, 4, 5, 9)},
    ),
    Source('Ed', 'EMNIST Digits', string.digits, f'{_EMNIST}digits-{_IDX}'),
    Source(
        'El',
        'EMNIST Letters',
        string.ascii_uppercase,
        f'{_EMNIST}letters-{_IDX}',
        first_label=1,
        mixed={12: (15, 21), 24: (15, 16, 19, 21)},
    ),
    Source('Eb', 'EMNIST Balanced', _MERGED, f'{_EMNIST}balanced-{_IDX}'),
    Source('Em', 'EMNIST By-merge', _MERGED, f'{_EMNIST}bymerge-{_IDX}'),
    Source(
        'Ec',
        'EMNIST By-class',
        _UPPER + string.ascii_lowercase,
        f'{_EMNIST}byclass-{_IDX}',
    ),
    Source(
        'F',
        'Fashion-MNIST',
        _CLOTHES,
        f'https://fashion-mnist.s3.eu-central-1.amazonaws.com/{_IDX}',
        license='MIT, Copyright (c) 2017 Zalando SE',
        test='t10k',
        mixed={12: (0, 8), 24: (0, 4, 7, 8)},
    ),
    Source(
        'Kd',
        'Kannada-MNIST',
        '೦೧೨೩೪೫೬೭೮೯',
        'https://github.com/vinayprabhu/Kannada_MNIST/raw/master/data/'
        'output_tensors/MNIST_format/{part}_kannada_MNIST_{split}.npz',
        ('X', 'y'),
        mixed={12: (1, 8), 24: (1, 2, 4, 8)},
    ),
    Source(
        'Km',
        'KMNIST',
        'おきすつなはまやれを',
        f'{_KUZUSHIJI}/kmnist/kmnist-{{split}}-{{part}}.npz',
        ('imgs', 'labels'),
        _KUZUSHIJI_LICENSE,
        mixed={12: (5, 9), 24: (5, 7, 8, 9)},
    ),
    Source(
        'K49',
        'Kuzushiji-49',
        'あいうえおかきくけこさしすせそたちつてとなにぬねの'
        'はひふへほまみむめもやゆよらりるれろわゐゑをんゝ',
        f'{_KUZUSHIJI}/k49/k49-{{split}}-{{part}}.npz',
        ('imgs', 'labels'),
        _KUZUSHIJI_LICENSE,
    ),
    Source(
        'N',
        'notMNIST',
        'ABCDEFGHIJ',
        f'{_NOTMNIST}/{_IDX}',
        license=(
            'MIT, Copyright (c) 2016 (the reduced set); data with permission of'
            ' the original author; glyphs of public fonts'
        ),
        test='t10k',
        mixed={12: (1, 9), 24: (1, 3, 4, 9)},
    ),
)


@dataclasses.dataclass(eq=False)
class CmnistConfig(tfds.core.BuilderConfig):
  """One subset.

  Attributes:
    members: Its sources, each with the labels that it takes of it.
    per_class: How many training examples of each class it keeps; None for all.
  """

  members: Sequence[tuple[Source, Sequence[int]]] = ()
  per_class: int | None = None

  def __post_init__(self):
    num_classes = sum(len(labels) for _, labels in self.members)
    titles = ', '.join(source.title for source, _ in self.members)
    self.description = f'{num_classes} classes of {titles}.'
    if self.per_class:
      self.description += (
          f' Only the first {self.per_class} training examples of each class.'
      )


def _published_configs() -> Iterator[CmnistConfig]:
  """Yields the 134 subsets, the default first."""
  for size in (12, 24):
    mixed = [(s, s.mixed[size]) for s in SOURCES if size in s.mixed]
    yield CmnistConfig(name=f'X-{size}', members=mixed)
  for count in range(2, len(SOURCES) + 1):
    for sources in itertools.combinations(SOURCES, count):
      names = [name for source in sources for name in source.class_names]
      if len(set(names)) == len(names):
        keys = ''.join(source.key for source in sources)
        members = [(s, s.all_labels) for s in sources]
        yield CmnistConfig(name=f'{count}-{keys}', members=members)


class Builder(tfds.core.GeneratorBasedBuilder):
  """Builds CMNIST from the files that its sources publish."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Initial release.'}
  BUILDER_CONFIGS = list(_published_configs())

  @tfds.core.utils.classproperty
  @classmethod
  @tfds.core.utils.memoize()
  def builder_configs(cls) -> dict[str, CmnistConfig]:
    """The published configs and the reduced forms of each."""
    reduced = (
        dataclasses.replace(full, name=f'{full.name}-r-{size}', per_class=size)
        for full in cls.BUILDER_CONFIGS
        for size in _REDUCED_SIZES
    )
    return {c.name: c for c in (*cls.BUILDER_CONFIGS, *reduced)}

  def _info(self) -> tfds.core.DatasetInfo:
    members = self.builder_config.members
    class_names = [
        source.class_names[label - source.first_label]
        for source, labels in members
        for label in labels
    ]
    keys = [source.key for source, _ in members]
    features = {
        'image': tfds.features.Image(shape=(28, 28, 1), doc='upright, gray'),
        'label': tfds.features.ClassLabel(names=class_names, doc='class'),
        'source': tfds.features.ClassLabel(names=keys, doc='its source'),
        'source_label': tfds.features.Scalar(np.int64, doc='label in files'),
    }
    return self.dataset_info_from_configs(
        features=tfds.features.FeaturesDict(features, doc='one image'),
        supervised_keys=('image', 'label'),
        homepage='https://github.com/swenkel/cmnist',
        license='; '.join(f'{s.title}: {s.license}' for s, _ in members),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    urls = {
        file.partition('#')[0]
        for source, _ in self.builder_config.members
        for split in _SPLITS
        for file in source.files(split)
    }
    paths = dl_manager.download({url: url for url in sorted(urls)})
    for url in urls & UNREGISTERED.keys():
      check_md5(paths[url], UNREGISTERED[url])
    return {split: self._generate_examples(split, paths) for split in _SPLITS}

  def _generate_examples(self, split: str, paths: Mapping[str, epath.Path]):
    """Yields the examples of the sources one after the other."""
    keys = itertools.count()
    labels = itertools.count()
    limit = self.builder_config.per_class if split == 'train' else None
    for number, (source, taken) in enumerate(self.builder_config.members):
      images, raw_labels = (_read(paths, file) for file in source.files(split))
      label_of = {raw: next(labels) for raw in taken}
      seen = dict.fromkeys(taken, 0)
      for image, raw in zip(images, raw_labels.tolist(), strict=True):
        if raw in seen and seen[raw] != limit:
          seen[raw] += 1
          yield next(keys), {
              'image': image[:, :, None],
              'label': label_of[raw],
              'source': number,
              'source_label': raw,
          }


def check_md5(path: epath.Path, expected: str) -> None:
  """Raises a `ValueError` if a file has another MD5 than expected."""
  found = hashlib.md5(path.read_bytes()).hexdigest()
  if found != expected:
    raise ValueError(f'{path}: expected MD5 {expected}, found {found}.')


def _read(paths: Mapping[str, epath.Path], url: str) -> np.ndarray:
  """Returns the array in a file, its images upright."""
  archive, _, member = url.partition('#')
  with paths[archive].open('rb') as file:
    if url.endswith('.npz'):
      return np.load(file)['arr_0']
    if not member:
      return _read_idx(file)
    # The archive has 561 MB, of which this reads the member alone.
    with zipfile.ZipFile(file) as zipped, zipped.open(member) as packed:
      array = _read_idx(packed)
  # EMNIST stores images transposed.
  return array.transpose(0, 2, 1) if array.ndim == 3 else array


def _read_idx(packed: BinaryIO) -> np.ndarray:
  """Returns the array in a gzipped IDX file, which has bytes."""
  data = gzip.decompress(packed.read())
  num_dims = data[3]
  shape = np.frombuffer(data, '>u4', num_dims, offset=4)
  return np.frombuffer(data, np.uint8, offset=4 + 4 * num_dims).reshape(shape)
