# SPDX-License-Identifier: Apache-2.0
"""Publishes prepared subsets for readers who do not have this package.

    DIR/README.md                        dataset card with metadata for hubs
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
from collections.abc import Iterator, Sequence

from cmnist_tfds import atomic, schema, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.dataset_files import SAMPLE
from cmnist_tfds.export import croissant
from cmnist_tfds.load.prepared import Prepared
from cmnist_tfds.sample import LICENSE, NOTICE, sample_of
from cmnist_tfds.sources import SPLITS, Source
from cmnist_tfds.subsets import Subset

_CARD = 'README.md'

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


def publish(published: Sequence[Prepared], folder: pathlib.Path) -> None:
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
    default.write_text(_default(published), encoding='utf-8')
    (unfinished / _CARD).write_text(dataset_card(published), encoding='utf-8')


def _names(published: Sequence[Prepared]) -> Iterator[str]:
  """Yields the paths of all files of a publication."""
  yield _CARD
  yield str(_default_path(published))
  for prepared in published:
    for file in _prepared_files(prepared):
      yield f'{_tfds_path(prepared)}/{file.name}'
    for name in croissant.FILES:
      yield f'{_croissant_path(prepared)}/{name}'


def _prepared_files(prepared: Prepared) -> list[pathlib.Path]:
  """Returns the files that TFDS prepared; those of desktops are hidden."""
  return [
    path
    for path in sorted(prepared.folder.iterdir())
    if path.is_file() and not path.name.startswith('.')
  ]


def _default_path(published: Sequence[Prepared]) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath(published[0].dataset, '.config/metadata.json')


def _default(published: Sequence[Prepared]) -> str:
  """Returns what tells TFDS which config a name without one means."""
  names = [prepared.subset.name for prepared in published]
  default = subsets.DEFAULT if subsets.DEFAULT in names else names[0]
  return json.dumps({'default_config_name': default})


def _croissant_path(prepared: Prepared) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath('croissant', prepared.subset.name)


def _tfds_path(prepared: Prepared) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath(
    prepared.dataset, prepared.subset.name, subsets.VERSION
  )


def dataset_card(published: Sequence[Prepared]) -> str:
  """Returns the dataset card of prepared subsets.

  Args:
    published: The subsets.

  Returns:
    Markdown that begins with the metadata that dataset hubs read.
  """
  sources = list(
    dict.fromkeys(
      s for prepared in published for s in _described(prepared).sources
    )
  )
  return '\n'.join(
    ['---', *_metadata(published), '---', '', *_text(published, sources)]
  )


def _metadata(published: Sequence[Prepared]) -> Iterator[str]:
  """Yields lines of YAML; the values are JSON, which YAML includes."""
  configs = [
    {
      'config_name': prepared.subset.name,
      'data_files': [
        {
          'split': split,
          'path': f'{_croissant_path(prepared)}/{split}.parquet',
        }
        for split in SPLITS
      ],
    }
    for prepared in published
  ]
  for key, value in {
    **(_OF_SAMPLE if _is_sample(published) else _OF_CMNIST),
    'task_categories': ['image-classification'],
    'tags': ['mnist', 'cmnist', 'tfds'],
    'configs': configs,
  }.items():
    yield f'{key}: {json.dumps(value)}'


def _is_sample(published: Sequence[Prepared]) -> bool:
  return published[0].dataset == SAMPLE


def _described(prepared: Prepared) -> Subset:
  """Returns the subset, or what the sample has of it."""
  if prepared.dataset == SAMPLE:
    return sample_of(prepared.subset)
  return prepared.subset


def _text(
  published: Sequence[Prepared], sources: Sequence[Source]
) -> Iterator[str]:
  if _is_sample(published):
    yield '# A synthetic sample of CMNIST\n'
    yield f'{NOTICE}\n'
  else:
    yield '# CMNIST\n'
  yield f'Subsets of [CMNIST]({subsets.HOMEPAGE}), prepared by cmnist_tfds:\n'
  for prepared in published:
    yield f'- {_described(prepared).description}'
  yield '\n## Load\n'
  dataset = f'{published[0].dataset}/{published[0].subset.name}'
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
  yield '## Examples\n'
  yield 'An example has these features:\n'
  for feature in schema.FEATURES:
    yield f'- `{feature.name}` ({feature.dtype}): {feature.description}'
  yield (
    '\n`croissant/` has the same examples as Parquet files, with a Croissant'
    ' description of each subset.\n'
  )
  yield '## Licence\n'
  yield 'Each source has its own licence, as stated by the source:\n'
  for source in sources:
    yield f'- [{source.title}]({source.homepage}): {source.license}'
  yield '\n## Known issues\n'
  for source in sources:
    for issue in source.known_issues:
      yield f'- {source.title}: {issue}'
  yield '\n## Cite\n'
  yield f'```bibtex\n{subsets.citations(sources)}\n```\n'
