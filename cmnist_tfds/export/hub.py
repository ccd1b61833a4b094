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
import re
import shutil
import string
import urllib.parse
from collections.abc import Iterable, Sequence

from cmnist_tfds import schema, subsets
from cmnist_tfds.export import croissant
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sample import LICENSE, NOTICE, sample_of
from cmnist_tfds.sources import Source
from cmnist_tfds.sources.licenses import find
from cmnist_tfds.subsets import SAMPLE, Subset
from cmnist_tfds.system import atomic

_CARD = 'README.md'
_LICENSES = 'LICENSE.md'
_TEMPLATE = pathlib.Path(__file__).with_name('card.md')


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
  dataset = published[0].dataset
  described = [o.subset for o in published]
  if dataset == SAMPLE:
    described = list(map(sample_of, described))
  names = [opened.subset.name for opened in published]
  default = subsets.DEFAULT if subsets.DEFAULT in names else names[0]
  with atomic.write_folder(
    folder, 'cmnist publish', [_CARD, _LICENSES, f'{dataset}/', 'croissant/']
  ) as unfinished:
    for opened in published:
      name = opened.subset.name
      copy = unfinished / dataset / name / subsets.VERSION
      exported = unfinished / 'croissant' / name
      for made in (copy, exported):
        made.mkdir(parents=True)
      croissant.write_croissant(opened, exported)
      # Desktops leave hidden files.
      for file in opened.folder.glob('[!.]*'):
        if file.is_file():
          shutil.copyfile(file, copy / file.name)
    config = unfinished / dataset / '.config/metadata.json'
    config.parent.mkdir()
    # It tells TFDS which config a name without one means.
    config.write_text(json.dumps({'default_config_name': default}), 'utf-8')
    card = _dataset_card(published, described)
    (unfinished / _CARD).write_text(card, 'utf-8')
    (unfinished / _LICENSES).write_text(licenses(described), 'utf-8')


def _dataset_card(
  published: Sequence[Opened], described: Sequence[Subset]
) -> str:
  """Returns Markdown that begins with the metadata that dataset hubs read."""
  dataset = published[0].dataset
  is_sample = dataset == SAMPLE
  sources = _sources_of(described)
  title = 'CMNIST, synthetic sample' if is_sample else 'CMNIST'
  metadata = {
    'pretty_name': title,
    'license': LICENSE.lower() if is_sample else 'other',
    **({} if is_sample else {'license_name': 'that-of-each-source'}),
    'license_link': _LICENSES,
    'task_categories': ['image-classification'],
    'tags': ['mnist', 'cmnist', 'tfds'],
    'configs': [
      {
        'config_name': o.subset.name,
        'data_files': [
          {'split': split, 'path': f'croissant/{o.subset.name}/{split}.parquet'}
          for split, lengths in o.shard_lengths.items()
          if sum(lengths)  # Further test sets give no training examples.
        ],
      }
      for o in published
    ],
  }
  facts = (f'{s.title}: {issue}' for s in sources for issue in s.known_issues)
  issues = ''.join(f'- {_plain(fact)}\n' for fact in facts)
  return string.Template(_TEMPLATE.read_text('utf-8')).substitute(
    # YAML includes JSON.
    metadata='\n'.join(
      f'{key}: {json.dumps(value, ensure_ascii=False)}'
      for key, value in metadata.items()
    ),
    title=title,
    notice=f'{NOTICE}\n\n' * is_sample,
    homepage=subsets.HOMEPAGE,
    subsets='\n'.join(f'- {_plain(s.description)}' for s in described),
    dataset=dataset,
    name=described[0].name,
    version=subsets.VERSION,
    features='\n'.join(
      f'- `{f.name}` ({f.dtype}): {f.description}' for f in schema.FEATURES
    ),
    licenses=licenses(described),
    issues=f'## Known issues\n\n{issues}\n' if issues else '',
    # Nothing in it ends its block.
    citation=subsets.citations(sources).replace('```', "'''"),
  )


def _plain(text: str) -> str:
  """Returns Markdown that shows a text as it is, in one line."""
  return re.sub(r'[]\\[`*_<>&|~#$]|^[-+]', r'\\\g<0>', ' '.join(text.split()))


def licenses(selected: Iterable[Subset]) -> str:
  """Returns Markdown with the license of each source of some subsets.

  It says what each asks of those who share its images.
  """
  lines = ['Each source has its own license, as stated by the source:\n']
  for s in _sources_of(selected):
    title = _plain(s.title)
    if s.has_page:
      page = urllib.parse.quote(s.homepage, safe="%/:?#=&;,+@!$'*~")
      title = f'[{title}]({page})'
    asks = find(s.license).asks
    lines.append(f'- {title}: {_plain(s.stated_license)}. {asks}')
  return '\n'.join(lines) + '\n'


def _sources_of(selected: Iterable[Subset]) -> list[Source]:
  return list(dict.fromkeys(s for subset in selected for s in subset.sources))
