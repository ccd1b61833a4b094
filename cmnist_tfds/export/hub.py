# SPDX-License-Identifier: Apache-2.0
"""Publishes prepared subsets for readers who do not have this package.

    DIR/README.md                        dataset card with metadata for hubs
    DIR/LICENSE.md                       the licence of each source
    DIR/cmnist/.config/metadata.json     the name of the default config
    DIR/cmnist/<name>/<version>/         the files that TFDS prepared
    DIR/croissant/<name>/croissant.json  Croissant, with Parquet files beside it

TFDS reads DIR/cmnist with `tfds.builder_from_directory`, or by name if DIR is
the `data_dir` or the path of a community namespace. Dataset hubs read the Parquet
files, which the card lists.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.cache.prepared import SAMPLE
from cmnist_tfds.export import croissant
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sample import LICENSE, NOTICE, sample_of
from cmnist_tfds.schema import ClassFeature, Feature
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic

_CARD = 'README.md'
_LICENCES = 'LICENSE.md'

# What the Hugging Face hub calls datasets of at least so many examples.
_SIZE_CATEGORIES = (
  (10_000_000, '10M<n<100M'),
  (1_000_000, '1M<n<10M'),
  (100_000, '100K<n<1M'),
  (10_000, '10K<n<100K'),
  (1_000, '1K<n<10K'),
  (0, 'n<1K'),
)

# What the metadata of a card say of the two datasets.
_OF_CMNIST = {
  'pretty_name': 'CMNIST',
  'license': 'other',
  'license_name': 'that-of-each-source',
}
_OF_SAMPLE = {
  'pretty_name': 'CMNIST, synthetic sample',
  'license': LICENSE.lower(),
}


def publish(published: Sequence[Opened], folder: pathlib.Path) -> None:
  """Writes prepared subsets, Croissant descriptions and a dataset card.

  Args:
    published: Prepared subsets, all of CMNIST or all of the sample.
    folder: The folder to write. An earlier publication there is replaced;
      `atomic.write_folder` says which other files it may hold.

  Raises:
    PreparationError: If the folder may not or cannot be written, the data of a
      subset is damaged, or an optional library is not installed.
  """
  # Without the library, fail before anything is written.
  croissant.import_mlcroissant()
  with atomic.write_folder(
    folder,
    'cmnist publish',
    _names(published),
    apart_from=(
      *(prepared.folder.parents[1] for prepared in published),
      store.cache_dir(),
    ),
  ) as unfinished:
    for prepared in published:
      copied = unfinished / _tfds_path(prepared)
      copied.mkdir(parents=True)
      for file in _prepared_files(prepared):
        shutil.copyfile(file, copied / file.name)
      exported = unfinished / _croissant_path(prepared)
      exported.mkdir(parents=True)
      croissant.write_croissant(prepared, exported)
    default = unfinished / _default_path(published)
    default.parent.mkdir()
    described = map(_described, published)
    for path, text in (
      (default, _default(published)),
      (unfinished / _CARD, dataset_card(published, unfinished)),
      (unfinished / _LICENCES, licences(described)),
    ):
      path.write_text(text, encoding='utf-8')


def _names(published: Sequence[Opened]) -> Iterator[str]:
  """Yields the paths of all files of a publication."""
  yield from (_CARD, _LICENCES, str(_default_path(published)))
  for prepared in published:
    for file in _prepared_files(prepared):
      yield f'{_tfds_path(prepared)}/{file.name}'
    for name in croissant.FILES:
      yield f'{_croissant_path(prepared)}/{name}'


def _prepared_files(prepared: Opened) -> list[pathlib.Path]:
  """Returns the files that TFDS prepared; those of desktops are hidden."""
  return [
    path
    for path in sorted(prepared.folder.iterdir())
    if path.is_file() and not path.name.startswith('.')
  ]


def _default_path(published: Sequence[Opened]) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath(published[0].dataset, '.config/metadata.json')


def _default(published: Sequence[Opened]) -> str:
  """Returns what tells TFDS which config a name without one means."""
  names = [prepared.subset.name for prepared in published]
  default = subsets.DEFAULT if subsets.DEFAULT in names else names[0]
  return json.dumps({'default_config_name': default})


def _croissant_path(prepared: Opened) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath('croissant', prepared.subset.name)


def _tfds_path(prepared: Opened) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath(
    prepared.dataset, prepared.subset.name, subsets.VERSION
  )


def dataset_card(published: Sequence[Opened], folder: pathlib.Path) -> str:
  """Returns the dataset card of prepared subsets.

  Args:
    published: The subsets.
    folder: The publication, in which the Parquet files of the subsets are.

  Returns:
    Markdown that begins with the metadata that dataset hubs read.
  """
  metadata = _metadata(published, folder)
  return '\n'.join(['---', *metadata, '---', '', *_text(published)])


def licences(selected: Iterable[Subset]) -> str:
  """Returns Markdown with the licence of each source of some subsets.

  It names the sources whose images nobody is allowed to share.
  """
  lines = ['Each source has its own licence, as stated by the source:\n']
  for source in _sources_of(selected):
    title = source.title
    if source.has_page:
      title = f'[{title}]({source.homepage})'
    line = f'- {title}: {source.license}'
    if source.license.startswith('None stated'):
      line += '. To share its images, you need the permission of its authors'
    lines.append(line)
  return '\n'.join(lines) + '\n'


def _sources_of(selected: Iterable[Subset]) -> list[Source]:
  return list(dict.fromkeys(s for subset in selected for s in subset.sources))


def _metadata(
  published: Sequence[Opened], folder: pathlib.Path
) -> Iterator[str]:
  """Yields lines of YAML; the values are JSON, which YAML includes."""
  described = [_describe(prepared, folder) for prepared in published]
  total = sum(
    split['num_examples'] for info, _ in described for split in info['splits']
  )
  for key, value in {
    **(_OF_SAMPLE if _is_sample(published) else _OF_CMNIST),
    'license_link': _LICENCES,
    'task_categories': ['image-classification'],
    'size_categories': [
      next(name for least, name in _SIZE_CATEGORIES if total >= least)
    ],
    'tags': ['mnist', 'cmnist', 'tfds'],
    'dataset_info': [info for info, _ in described],
    'configs': [config for _, config in described],
  }.items():
    yield f'{key}: {json.dumps(value, ensure_ascii=False)}'


def _describe(
  prepared: Opened, folder: pathlib.Path
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns the entries of a subset in `dataset_info` and in `configs`."""
  # Sources that are a further test set give no training examples.
  counts = {
    split: sum(lengths)
    for split, lengths in prepared.shard_lengths.items()
    if lengths
  }
  tables = {
    split: f'{_croissant_path(prepared)}/{split}.parquet' for split in counts
  }
  sizes = {split: (folder / tables[split]).stat().st_size for split in counts}
  info = {
    'config_name': prepared.subset.name,
    'features': [
      {'name': feature.name, 'dtype': _hub_type(feature, prepared.subset)}
      for feature in schema.FEATURES
    ],
    # The tables are not compressed, so both sizes are theirs.
    'splits': [
      {'name': split, 'num_bytes': sizes[split], 'num_examples': count}
      for split, count in counts.items()
    ],
    'download_size': sum(sizes.values()),
    'dataset_size': sum(sizes.values()),
  }
  config = {
    'config_name': prepared.subset.name,
    'data_files': [
      {'split': split, 'path': path} for split, path in tables.items()
    ],
  }
  return info, config


def _hub_type(feature: Feature, subset: Subset) -> Any:
  """Returns the type of a feature, as the library `datasets` writes it."""
  if feature is schema.IMAGE:
    return 'image'
  if not isinstance(feature, ClassFeature) or feature.names is None:
    return feature.dtype
  names = feature.names(subset)
  return {'class_label': {'names': {str(i): n for i, n in enumerate(names)}}}


def _is_sample(published: Sequence[Opened]) -> bool:
  return published[0].dataset == SAMPLE


def _described(prepared: Opened) -> Subset:
  """Returns the subset, or what the sample has of it."""
  if prepared.dataset == SAMPLE:
    return sample_of(prepared.subset)
  return prepared.subset


def _text(published: Sequence[Opened]) -> Iterator[str]:
  if _is_sample(published):
    yield '# A synthetic sample of CMNIST\n'
    yield f'{NOTICE}\n'
  else:
    yield '# CMNIST\n'
  yield f'Subsets of [CMNIST]({subsets.HOMEPAGE}), prepared by cmnist_tfds:\n'
  for prepared in published:
    yield f'- {_described(prepared).description}'
  yield '\n## Load\n'
  name = published[0].subset.name
  dataset = f'{published[0].dataset}/{name}'
  yield 'TensorFlow Datasets reads this folder without further packages:\n'
  yield '```python'
  yield 'import tensorflow_datasets as tfds\n'
  yield '# data_dir is the path of this folder.'
  yield 'train, info = tfds.load('
  yield f"  '{dataset}', split='train', data_dir='.', with_info=True"
  yield ')'
  yield '```\n'
  yield (
    f"`tfds.builder_from_directory('{_tfds_path(published[0])}')` returns its"
    ' builder. If this folder is the path of a TFDS community namespace,'
    f" `tfds.load('<namespace>:{dataset}')` loads it too.\n"
  )
  yield 'The library `datasets` of Hugging Face reads its Parquet files:\n'
  yield '```python'
  yield 'import datasets\n'
  yield '# In place of the path of this folder, give its name on the hub.'
  yield f"train = datasets.load_dataset('.', '{name}', split='train')"
  yield '```\n'
  yield '## Examples\n'
  yield 'An example has these features:\n'
  for feature in schema.FEATURES:
    yield f'- `{feature.name}` ({feature.dtype}): {feature.description}'
  yield (
    '\n`croissant/` has the same examples as Parquet files, with a Croissant'
    ' description of each subset.\n'
  )
  yield '## Licence\n'
  selected = [_described(prepared) for prepared in published]
  yield licences(selected)
  issues = [
    f'- {source.title}: {issue}'
    for source in _sources_of(selected)
    for issue in source.known_issues
  ]
  if issues:
    yield '## Known issues\n'
    yield from issues
    yield ''
  yield '## Cite\n'
  yield f'```bibtex\n{subsets.citations(_sources_of(selected))}\n```\n'
