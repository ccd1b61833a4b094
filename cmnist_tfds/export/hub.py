# SPDX-License-Identifier: Apache-2.0
"""Publishes prepared subsets for readers who do not have this package.

    DIR/README.md                        dataset card with metadata for hubs
    DIR/LICENSE.md                       the license of each source
    DIR/cmnist/.config/metadata.json     the name of the default config
    DIR/cmnist/<name>/<version>/         the files that TFDS prepared
    DIR/croissant/<name>/croissant.json  Croissant, with Parquet files next to it

TFDS reads DIR/cmnist with `tfds.builder_from_directory`, or by name if DIR is
the `data_dir` or the path of a community namespace. Dataset hubs read the Parquet
files, which the card lists.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache.prepared import SAMPLE
from cmnist_tfds.export import croissant
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sample import LICENSE, NOTICE, sample_of
from cmnist_tfds.schema import ClassFeature, Feature
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic

_CARD = 'README.md'
_LICENSES = 'LICENSE.md'
_TEMPLATE = pathlib.Path(__file__).with_name('card.md')

# What the Hugging Face hub calls datasets of up to three digits of examples, of
# four digits, and so on.
_SIZES = (
  *('n<1K', '1K<n<10K', '10K<n<100K'),
  *('100K<n<1M', '1M<n<10M', '10M<n<100M'),
)


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
  copied = {
    f'{opened.dataset}/{opened.subset.name}/{subsets.VERSION}/{file.name}': file
    for opened in published
    for file in sorted(opened.folder.iterdir())
    # Desktops leave hidden files.
    if file.is_file() and not file.name.startswith('.')
  }
  config = f'{published[0].dataset}/.config/metadata.json'
  tables = (
    f'croissant/{opened.subset.name}/{name}'
    for opened in published
    for name in croissant.FILES
  )
  names = [opened.subset.name for opened in published]
  default = subsets.DEFAULT if subsets.DEFAULT in names else names[0]
  with atomic.write_folder(
    folder, 'cmnist publish', [_CARD, _LICENSES, config, *copied, *tables]
  ) as unfinished:
    for path, file in copied.items():
      (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
      shutil.copyfile(file, unfinished / path)
    for opened in published:
      exported = unfinished / 'croissant' / opened.subset.name
      exported.mkdir(parents=True)
      croissant.write_croissant(opened, exported)
    (unfinished / config).parent.mkdir()
    for path, text in (
      # It tells TFDS which config a name without one means.
      (config, json.dumps({'default_config_name': default})),
      (_CARD, dataset_card(published, unfinished)),
      (_LICENSES, licenses(map(_described, published))),
    ):
      (unfinished / path).write_text(text, encoding='utf-8')


def dataset_card(published: Sequence[Opened], folder: pathlib.Path) -> str:
  """Returns the dataset card of prepared subsets.

  Args:
    published: The subsets.
    folder: The publication, in which the Parquet files of the subsets are.

  Returns:
    Markdown that begins with the metadata that dataset hubs read.
  """
  described = list(map(_described, published))
  sources = _sources_of(described)
  issues = [
    f'- {s.title}: {issue}\n' for s in sources for issue in s.known_issues
  ]
  return string.Template(_TEMPLATE.read_text('utf-8')).substitute(
    metadata='\n'.join(_metadata(published, folder)),
    title=_title(published),
    notice=f'{NOTICE}\n\n' if _is_sample(published[0]) else '',
    homepage=subsets.HOMEPAGE,
    subsets='\n'.join(f'- {subset.description}' for subset in described),
    dataset=published[0].dataset,
    name=described[0].name,
    version=subsets.VERSION,
    features='\n'.join(
      f'- `{f.name}` ({f.dtype}): {f.description}' for f in schema.FEATURES
    ),
    licenses=licenses(described),
    issues=f'## Known issues\n\n{"".join(issues)}\n' if issues else '',
    citation=subsets.citations(sources),
  )


def licenses(selected: Iterable[Subset]) -> str:
  """Returns Markdown with the license of each source of some subsets.

  It names the sources whose images nobody is allowed to share.
  """
  lines = ['Each source has its own license, as stated by the source:\n']
  for s in _sources_of(selected):
    title = f'[{s.title}]({s.homepage})' if s.has_page else s.title
    lines.append(f'- {title}: {s.license}')
    if s.license.startswith('None stated'):
      lines[-1] += (
        '. To share its images, you need the permission of its authors'
      )
  return '\n'.join(lines) + '\n'


def _sources_of(selected: Iterable[Subset]) -> list[Source]:
  return list(dict.fromkeys(s for subset in selected for s in subset.sources))


def _described(opened: Opened) -> Subset:
  """Returns the subset, or what the sample has of it."""
  return sample_of(opened.subset) if _is_sample(opened) else opened.subset


def _is_sample(opened: Opened) -> bool:
  return opened.dataset == SAMPLE


def _title(published: Sequence[Opened]) -> str:
  return 'CMNIST, synthetic sample' if _is_sample(published[0]) else 'CMNIST'


def _metadata(
  published: Sequence[Opened], folder: pathlib.Path
) -> Iterator[str]:
  """Yields lines of YAML; the values are JSON, which YAML includes."""
  infos = [_info(opened, folder) for opened in published]
  total = sum(s['num_examples'] for info in infos for s in info['splits'])
  own = {'license': 'other', 'license_name': 'that-of-each-source'}
  for key, value in {
    'pretty_name': _title(published),
    **({'license': LICENSE.lower()} if _is_sample(published[0]) else own),
    'license_link': _LICENSES,
    'task_categories': ['image-classification'],
    'size_categories': [_SIZES[max(len(str(total)) - 3, 0)]],
    'tags': ['mnist', 'cmnist', 'tfds'],
    'dataset_info': infos,
    'configs': [
      {
        'config_name': info['config_name'],
        'data_files': [
          {
            'split': split['name'],
            'path': _table(info['config_name'], split['name']),
          }
          for split in info['splits']
        ],
      }
      for info in infos
    ],
  }.items():
    yield f'{key}: {json.dumps(value, ensure_ascii=False)}'


def _table(name: str, split: str) -> str:
  return f'croissant/{name}/{split}.parquet'


def _info(opened: Opened, folder: pathlib.Path) -> dict[str, Any]:
  """Returns the entry of a subset in `dataset_info`."""
  splits: list[dict[str, Any]] = [
    {
      'name': split,
      'num_bytes': (folder / _table(opened.subset.name, split)).stat().st_size,
      'num_examples': sum(lengths),
    }
    for split, lengths in opened.shard_lengths.items()
    # Sources that are a further test set give no training examples.
    if sum(lengths)
  ]
  # The tables are not compressed, so both sizes are theirs.
  size = sum(split['num_bytes'] for split in splits)
  return {
    'config_name': opened.subset.name,
    'features': [
      {'name': feature.name, 'dtype': _hub_type(feature, opened.subset)}
      for feature in schema.FEATURES
    ],
    'splits': splits,
    'download_size': size,
    'dataset_size': size,
  }


def _hub_type(feature: Feature, subset: Subset) -> Any:
  """Returns the type of a feature, as the library `datasets` writes it."""
  if feature is schema.IMAGE:
    return 'image'
  if not isinstance(feature, ClassFeature) or feature.names is None:
    return feature.dtype
  names = feature.names(subset)
  return {'class_label': {'names': {str(i): n for i, n in enumerate(names)}}}
