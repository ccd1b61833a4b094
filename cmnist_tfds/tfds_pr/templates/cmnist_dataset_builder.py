# SPDX-License-Identifier: Apache-2.0
"""CMNIST: MNIST-like datasets concatenated into 134 harder benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import gzip
import hashlib
import io
import itertools
import string
from typing import Any
import zipfile

from etils import epath
import numpy as np
import tensorflow_datasets.public_api as tfds

_HOMEPAGE = 'https://github.com/swenkel/cmnist'

_SPLITS = ('train', 'test')
# Training examples of each class in the reduced forms.
_REDUCED_SIZES = (1, 5, 10, 50, 100)

_EMNIST = 'https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip'
_FASHION = 'https://fashion-mnist.s3.eu-central-1.amazonaws.com'
_KANNADA = (
    'https://github.com/vinayprabhu/Kannada_MNIST/raw/master/data/'
    'output_tensors/MNIST_format'
)
_KUZUSHIJI = 'https://codh.rois.ac.jp/kmnist/dataset'
_KUZUSHIJI_LICENSE = 'CC BY-SA 4.0, with an attribution text'
_NOTMNIST = 'https://github.com/davidflanagan/notMNIST-to-MNIST/raw/master'

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
    images: URL of its images; `{}` stands for the split, and `#` precedes the
      name of a file in a zip archive.
    labels: URL of its labels.
    license: The license that it states.
    first_label: The label of the first class in its files.
    test: What `{}` is for the test split.
    mixed: The labels that X-12 and X-24 take of it.
  """

  key: str
  title: str
  class_names: Sequence[str]
  images: str
  labels: str
  license: str = 'none stated'
  first_label: int = 0
  test: str = 'test'
  mixed: Mapping[int, Sequence[int]] = dataclasses.field(default_factory=dict)

  def files(self, split: str) -> tuple[str, str]:
    """Returns the URLs of the images and of the labels of a split."""
    name = self.test if split == 'test' else split
    return self.images.format(name), self.labels.format(name)

  @property
  def all_labels(self) -> Sequence[int]:
    return range(self.first_label, self.first_label + len(self.class_names))


def _idx(base: str) -> dict[str, str]:
  return {
      'images': f'{base}{{}}-images-idx3-ubyte.gz',
      'labels': f'{base}{{}}-labels-idx1-ubyte.gz',
  }


def _emnist(name: str) -> dict[str, str]:
  return _idx(f'{_EMNIST}#gzip/emnist-{name}-')


def _kuzushiji(folder: str, name: str) -> dict[str, str]:
  return {
      'images': f'{_KUZUSHIJI}/{folder}/{name}-{{}}-imgs.npz',
      'labels': f'{_KUZUSHIJI}/{folder}/{name}-{{}}-labels.npz',
  }


_UPPER = string.digits + string.ascii_uppercase
# Upper and lower case are one class where they look alike.
_MERGED = _UPPER + 'abdefghnqrt'

# Keys and labels follow this order.
SOURCES = (
    Source(
        key='E',
        title='EMNIST MNIST',
        class_names=string.digits,
        mixed={12: (0, 4), 24: (0, 4, 5, 9)},
        **_emnist('mnist'),
    ),
    Source('Ed', 'EMNIST Digits', string.digits, **_emnist('digits')),
    Source(
        key='El',
        title='EMNIST Letters',
        class_names=string.ascii_uppercase,
        first_label=1,
        mixed={12: (15, 21), 24: (15, 16, 19, 21)},
        **_emnist('letters'),
    ),
    Source('Eb', 'EMNIST Balanced', _MERGED, **_emnist('balanced')),
    Source('Em', 'EMNIST By-merge', _MERGED, **_emnist('bymerge')),
    Source(
        key='Ec',
        title='EMNIST By-class',
        class_names=_UPPER + string.ascii_lowercase,
        **_emnist('byclass'),
    ),
    Source(
        key='F',
        title='Fashion-MNIST',
        class_names=(
            'T-shirt/top',
            'Trouser',
            'Pullover',
            'Dress',
            'Coat',
            'Sandal',
            'Shirt',
            'Sneaker',
            'Bag',
            'Ankle boot',
        ),
        license='MIT, Copyright (c) 2017 Zalando SE',
        test='t10k',
        mixed={12: (0, 8), 24: (0, 4, 7, 8)},
        **_idx(f'{_FASHION}/'),
    ),
    Source(
        key='Kd',
        title='Kannada-MNIST',
        class_names='೦೧೨೩೪೫೬೭೮೯',
        images=f'{_KANNADA}/X_kannada_MNIST_{{}}.npz',
        labels=f'{_KANNADA}/y_kannada_MNIST_{{}}.npz',
        mixed={12: (1, 8), 24: (1, 2, 4, 8)},
    ),
    Source(
        key='Km',
        title='KMNIST',
        class_names='おきすつなはまやれを',
        license=_KUZUSHIJI_LICENSE,
        mixed={12: (5, 9), 24: (5, 7, 8, 9)},
        **_kuzushiji('kmnist', 'kmnist'),
    ),
    Source(
        key='K49',
        title='Kuzushiji-49',
        class_names=(
            'あいうえおかきくけこさしすせそたちつてとなにぬねの'
            'はひふへほまみむめもやゆよらりるれろわゐゑをんゝ'
        ),
        license=_KUZUSHIJI_LICENSE,
        **_kuzushiji('k49', 'k49'),
    ),
    Source(
        key='N',
        title='notMNIST',
        class_names='ABCDEFGHIJ',
        license=(
            'MIT, Copyright (c) 2016 (the reduced set); data with permission of'
            ' the original author; glyphs of public fonts'
        ),
        test='t10k',
        mixed={12: (1, 9), 24: (1, 3, 4, 9)},
        **_idx(f'{_NOTMNIST}/'),
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


def _config(
    name: str, members: Sequence[tuple[Source, Sequence[int]]]
) -> CmnistConfig:
  titles = ', '.join(source.title for source, _ in members)
  num_classes = sum(len(labels) for _, labels in members)
  return CmnistConfig(
      name=name,
      description=f'{num_classes} classes of {titles}.',
      members=members,
  )


def _published_configs() -> Iterator[CmnistConfig]:
  """Yields the 134 subsets, the default first."""
  for size in (12, 24):
    yield _config(
        f'X-{size}',
        [(s, s.mixed[size]) for s in SOURCES if size in s.mixed],
    )
  for count in range(2, len(SOURCES) + 1):
    for sources in itertools.combinations(SOURCES, count):
      names = [name for source in sources for name in source.class_names]
      if len(set(names)) == len(names):
        keys = ''.join(source.key for source in sources)
        yield _config(f'{count}-{keys}', [(s, s.all_labels) for s in sources])


class Builder(tfds.core.GeneratorBasedBuilder):
  """Builds CMNIST from the files that its sources publish."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {
      '1.0.0': 'Initial release.',
  }
  BUILDER_CONFIGS = list(_published_configs())

  @tfds.core.utils.classproperty
  @classmethod
  @tfds.core.utils.memoize()
  def builder_configs(cls) -> dict[str, CmnistConfig]:
    """The published configs and the reduced forms of each."""
    reduced = (
        dataclasses.replace(
            full,
            name=f'{full.name}-r-{size}',
            description=(
                f'{full.description} Only the first {size} training examples of'
                ' each class.'
            ),
            per_class=size,
        )
        for full in cls.BUILDER_CONFIGS
        for size in _REDUCED_SIZES
    )
    return {c.name: c for c in (*cls.BUILDER_CONFIGS, *reduced)}

  def _info(self) -> tfds.core.DatasetInfo:
    members = self.builder_config.members
    return self.dataset_info_from_configs(
        features=tfds.features.FeaturesDict(
            {
                'image': tfds.features.Image(
                    shape=(28, 28, 1), doc='28 x 28 gray pixels, upright'
                ),
                'label': tfds.features.ClassLabel(
                    names=[
                        source.class_names[label - source.first_label]
                        for source, labels in members
                        for label in labels
                    ],
                    doc='number of the class in the subset',
                ),
                'source': tfds.features.ClassLabel(
                    names=[source.key for source, _ in members],
                    doc='number of the source in the subset',
                ),
                'source_label': tfds.features.Scalar(
                    dtype=np.int64, doc='raw label in the files of the source'
                ),
            },
            doc='one image and what it shows',
        ),
        supervised_keys=('image', 'label'),
        homepage=_HOMEPAGE,
        license='; '.join(f'{s.title}: {s.license}' for s, _ in members),
    )

  def _split_generators(
      self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
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

  def _generate_examples(
      self, split: str, paths: Mapping[str, epath.Path]
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the examples of the sources one after the other."""
    key = 0
    first = 0
    limit = self.builder_config.per_class if split == 'train' else None
    for number, (source, taken) in enumerate(self.builder_config.members):
      images, raw_labels = (_read(paths, file) for file in source.files(split))
      numbers = {raw: first + i for i, raw in enumerate(taken)}
      first += len(taken)
      seen = dict.fromkeys(taken, 0)
      for image, raw in zip(images, raw_labels.tolist(), strict=True):
        if raw not in seen or seen[raw] == limit:
          continue
        seen[raw] += 1
        yield key, {
            'image': image[:, :, None],
            'label': numbers[raw],
            'source': number,
            'source_label': raw,
        }
        key += 1


def check_md5(path: epath.Path, expected: str) -> None:
  """Raises a `ValueError` if a file has another MD5 than expected."""
  found = hashlib.md5(path.read_bytes()).hexdigest()
  if found != expected:
    raise ValueError(f'{path}: expected MD5 {expected}, found {found}.')


def _read(paths: Mapping[str, epath.Path], file: str) -> np.ndarray:
  """Returns the array in a file, its images upright."""
  url, _, member = file.partition('#')
  data = paths[url].read_bytes()
  if member:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
      data = archive.read(member)
  if file.endswith('.npz'):
    return np.load(io.BytesIO(data))['arr_0']
  array = _read_idx(gzip.decompress(data))
  # EMNIST stores images transposed.
  return array.transpose(0, 2, 1) if member and array.ndim == 3 else array


def _read_idx(data: bytes) -> np.ndarray:
  """Returns the array in an IDX file: bytes after the number of dimensions."""
  num_dims = data[3]
  shape = np.frombuffer(data, '>u4', num_dims, offset=4)
  return np.frombuffer(data, np.uint8, offset=4 + 4 * num_dims).reshape(shape)
