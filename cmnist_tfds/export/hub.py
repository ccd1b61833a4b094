# SPDX-License-Identifier: Apache-2.0
"""Lays prepared subsets out so that others read them without this package.

    DIR/README.md                        dataset card, with the hubs' metadata
    DIR/cmnist/<name>/<version>/         as TFDS prepared it
    DIR/croissant/<name>/croissant.json  Croissant, with Parquet beside it

TFDS reads the second with `tfds.builder_from_directory`, or by name where DIR
is the `data_dir` or that of a community namespace; dataset hubs read the Parquet
files the card names.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator, Sequence

from cmnist_tfds import atomic, load, subsets
from cmnist_tfds.export import croissant
from cmnist_tfds.sources import SPLITS, Source

_CARD = 'README.md'


def publish(found: Sequence[load.Prepared], folder: pathlib.Path) -> None:
  """Writes the layout.

  Args:
    found: Prepared subsets, all of CMNIST or all of the sample.
    folder: Where it goes; an older one there is replaced.

  Raises:
    PreparationError: If the folder holds something else, a shard is damaged,
      or an optional library is not installed.
  """
  with atomic.write_folder(folder, marker_file=_CARD) as unfinished:
    for prepared in found:
      shutil.copytree(prepared.folder, unfinished / _tfds_path(prepared))
      place = unfinished / 'croissant' / prepared.subset.name
      place.parent.mkdir(exist_ok=True)
      croissant.export(prepared, place)
    (unfinished / _CARD).write_text(card(found), encoding='utf-8')


def _tfds_path(prepared: load.Prepared) -> pathlib.PurePosixPath:
  return pathlib.PurePosixPath(
    prepared.dataset, prepared.subset.name, subsets.VERSION
  )


def card(found: Sequence[load.Prepared]) -> str:
  """Returns the dataset card of prepared subsets.

  Args:
    found: The subsets.

  Returns:
    Markdown, headed by the metadata dataset hubs read.
  """
  sources = list(
    dict.fromkeys(s for prepared in found for s in prepared.subset.sources)
  )
  return '\n'.join(
    ['---', *_metadata(found), '---', '', *_text(found, sources)]
  )


def _metadata(found: Sequence[load.Prepared]) -> Iterator[str]:
  """Yields lines of YAML; JSON is YAML."""
  configs = [
    {
      'config_name': prepared.subset.name,
      'data_files': [
        {
          'split': split,
          'path': f'croissant/{prepared.subset.name}/{split}.parquet',
        }
        for split in SPLITS
      ],
    }
    for prepared in found
  ]
  for key, value in {
    'pretty_name': 'CMNIST',
    'license': 'other',
    'license_name': 'that-of-each-source',
    'task_categories': ['image-classification'],
    'tags': ['mnist', 'cmnist', 'tfds'],
    'configs': configs,
  }.items():
    yield f'{key}: {json.dumps(value)}'


def _text(
  found: Sequence[load.Prepared], sources: Sequence[Source]
) -> Iterator[str]:
  if any(prepared.dataset == load.SAMPLE for prepared in found):
    yield '# A synthetic sample, not CMNIST\n'
    yield 'Small, synthetic images in the shape of CMNIST, for trying out.\n'
  else:
    yield '# CMNIST\n'
  yield f'Subsets of [CMNIST]({subsets.HOMEPAGE}), prepared by cmnist_tfds:\n'
  for prepared in found:
    yield f'- {prepared.subset.description}'
  yield '\n## Load\n'
  dataset = f'{found[0].dataset}/{found[0].subset.name}'
  yield 'With TensorFlow Datasets, nothing else installed:\n'
  yield '```python'
  yield 'import tensorflow_datasets as tfds\n'
  yield '# From this folder; elsewhere, data_dir is its path.'
  yield 'train, info = tfds.load('
  yield f"  '{dataset}', split='train', data_dir='.', with_info=True"
  yield ')'
  yield '```\n'
  yield (
    f"`tfds.builder_from_directory('{_tfds_path(found[0])}')` is its builder."
    ' As the path of a TFDS community namespace, the folder gives'
    f" `tfds.load('<namespace>:{dataset}')`.\n"
  )
  yield (
    'An example has `image` (28 x 28 grey pixels, upright), `label`, `source`'
    " and `source_label`, the source's own raw label. `croissant/` holds the"
    ' same examples as Parquet, described after Croissant.\n'
  )
  yield '## Licence\n'
  yield 'Each source has its own, as its own files state it:\n'
  for source in sources:
    yield f'- [{source.title}]({source.homepage}): {source.license}'
  yield '\n## What to know of the data\n'
  for source in sources:
    for fault in source.known_issues:
      yield f'- {source.title}: {fault}'
  yield '\n## Cite\n'
  yield f'```bibtex\n{subsets.citations(sources)}\n```\n'
