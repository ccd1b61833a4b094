# SPDX-License-Identifier: Apache-2.0
"""Writes the site: templates filled with what the records say."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds import atomic, subsets
from cmnist_tfds.catalog import characters, gallery, look_alikes, snippets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.figures import confusable, histogram, montage, svg
from cmnist_tfds.figures.drawing import Theme
from cmnist_tfds.sources import IMAGE_SIZE, SOURCES, SPLITS, Source
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  import jinja2

_HERE = pathlib.Path(__file__).parent

# Images are shown at twice their size.
_SCALE = 2

# The colours of the page, which follow the visitor's wish for light or dark.
_THEME = Theme(
  paper='',
  ink='var(--ink)',
  faint='var(--faint)',
  rule='var(--rule)',
  train='var(--train)',
  test='var(--test)',
)


def write(
  folder: pathlib.Path, data_dir: str | None, *, sample: bool
) -> gallery.Seen:
  """Writes the catalogue.

  Args:
    folder: Where it goes; an older catalogue there is replaced.
    data_dir: Where prepared datasets are, which give the pictures; TFDS's
      default if None.
    sample: Whether the pictures are those of the synthetic sample.

  Returns:
    What prepared subsets have shown.

  Raises:
    PreparationError: If the folder holds something else, or an optional
      library is not installed.
  """
  templates = _templates()
  with atomic.write_folder(folder, marker_file='index.html') as unfinished:
    looked = gallery.look(data_dir, sample=sample)
    shutil.copytree(_HERE / 'static', unfinished / 'static')
    _write_pictures(unfinished / 'pictures', looked)
    common = {
      'sample': sample,
      'seen': looked,
      'subsets': subsets.published(),
      'sources': SOURCES,
      'citation': subsets.CITATION,
      'homepage': subsets.HOMEPAGE,
    }
    for path, template, facts in _pages(looked):
      place = unfinished / path
      place.parent.mkdir(exist_ok=True)
      root = '../' * path.count('/')
      text = templates.get_template(template).render(
        **common, **facts, root=root
      )
      place.write_text(text, encoding='utf-8')
  return looked


def _templates() -> jinja2.Environment:
  try:
    import jinja2
    import PIL  # noqa: F401
  except ImportError as error:
    raise PreparationError(
      f'The catalogue needs {error.name}, which is not installed: pip install'
      ' "cmnist_tfds[catalog]"'
    ) from error
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / 'templates'),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  environment.filters['number'] = lambda n: (
    'not counted' if n is None else f'{n:,}'
  )
  environment.globals |= {
    'code_points': characters.code_points,
    'unicode_name': characters.unicode_name,
    'script': characters.script,
    'splits': SPLITS,
    'scale': IMAGE_SIZE * _SCALE,
    'compared': confusable.EXAMPLES,
  }
  return environment


def _pages(looked: gallery.Seen) -> Iterator[tuple[str, str, dict[str, Any]]]:
  """Yields each page: its path, its template, what the template is told."""
  yield 'index.html', 'index.html', {}
  yield 'compose.html', 'compose.html', {'facts': _composition()}
  look_alikes_of = look_alikes.of_all(looked)
  for subset in subsets.published():
    yield (
      f'subsets/{subset.name}.html',
      'subset.html',
      {
        'subset': subset,
        'histogram': _histogram(subset, looked),
        'snippets': snippets.of(subset),
        'look_alikes': look_alikes_of.get(subset.name, []),
        'reductions': [
          subsets.reduce(subset, size) for size in subsets.REDUCED_SIZES
        ],
      },
    )
  for source in SOURCES:
    yield (
      f'sources/{source.key}.html',
      'source.html',
      {
        'source': source,
        'single': subsets.combine([source]),
        'members': [s for s in subsets.published() if source in s.sources],
      },
    )


def _histogram(subset: Subset, looked: gallery.Seen) -> str:
  counts = [looked.counts_of(c) for c in subset.classes]
  return svg.render(histogram.histogram(subset, counts, subset.title), _THEME)


def _composition() -> str:
  """What the page about names needs to know of the sources, as JSON."""
  facts = [
    {'key': s.key, 'title': s.title, 'classes': s.class_names} for s in SOURCES
  ]
  # `</script>` must not end the element this stands in.
  return json.dumps(facts, ensure_ascii=False).replace('<', '\\u003c')


def _write_pictures(folder: pathlib.Path, looked: gallery.Seen) -> None:
  """Writes a picture for each source, a row for each class, and their CSS."""
  from PIL import Image

  folder.mkdir()
  rules = []
  for source in SOURCES:
    if not looked.has_pictures_of(source):
      continue
    sheet = _sheet(source, looked)
    Image.fromarray(sheet).save(folder / f'{source.key}.png', optimize=True)
    height, width = (n * _SCALE for n in sheet.shape)
    rules.append(
      f'.of-{source.key} {{ background-image: url({source.key}.png);'
      f' background-size: {width}px {height}px; }}\n'
    )
  (folder / 'pictures.css').write_text(''.join(rules), encoding='utf-8')


def _sheet(source: Source, looked: gallery.Seen) -> np.ndarray:
  sheet = np.zeros(
    (len(source.raw_labels), IMAGE_SIZE, montage.EXAMPLES, IMAGE_SIZE), np.uint8
  )
  for row, raw in enumerate(source.raw_labels):
    few = looked.images[source.key, raw][: montage.EXAMPLES]
    for column, image in enumerate(few):
      sheet[row, :, column] = image
  return sheet.reshape(-1, montage.EXAMPLES * IMAGE_SIZE)
