# SPDX-License-Identifier: Apache-2.0
"""Writes the site from templates and the records of subsets and sources."""

from __future__ import annotations

import base64
import pathlib
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.catalog.gallery import Gallery, collect
from cmnist_tfds.figures import montage, similarity
from cmnist_tfds.figures.pictures import CLASS_NAMES_FONT
from cmnist_tfds.formats import png
from cmnist_tfds.sources import IMAGE_SIZE, SOURCES, SPLITS, Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic, paths, streams
from cmnist_tfds.system.extras import needs_extra

if TYPE_CHECKING:
  import jinja2

_HERE = pathlib.Path(__file__).parent
# The folders of a catalog.
_FOLDERS = ('static', 'pictures', 'subsets', 'sources')

# Number of pairs of similar classes on the page of a subset.
PAIRS = 12

# Returns the rows of a table, the first with its headings; none for no table.
_Results = Callable[[Subset], Sequence[Sequence[str]]]

# Images are shown at twice their size.
_SCALE = 2


def write_site(
  folder: pathlib.Path,
  data_dir: str | None,
  *,
  sample: bool,
  further: Sequence[Subset] = (),
  results: _Results = lambda _: (),
  advice: Mapping[str, str] = {},
) -> list[Source]:
  """Writes the catalog.

  Args:
    folder: The folder to write. An earlier catalog there is replaced;
      `atomic.write_folder` says which other files it may hold.
    data_dir: The folder of prepared datasets, which the pictures are taken
      from; TFDS's default if None.
    sample: Whether to take the pictures from the synthetic sample. They are
      taken from it, with a warning, if only the sample is prepared.
    further: Subsets that get a page besides those of the paper, such as
      combinations with extensions. Extensions in them get a page, too.
    results: Returns the table of results on a subset, which its page shows.
    advice: The subsets that the first page advises, each with the reason.

  Returns:
    The sources of which no prepared subset has pictures.

  Raises:
    PreparationError: If the folder may not or cannot be written, an optional
      library is not installed, or the data of a prepared subset is damaged.
  """
  templates = _templates()
  shown = tuple(dict.fromkeys((*subsets.published(), *further)))
  # The sources of the paper first.
  others = (source for subset in further for source in subset.sources)
  listed = tuple(dict.fromkeys((*SOURCES, *others)))
  names = ['index.html', 'compose.html', *(f'{name}/' for name in _FOLDERS)]
  with atomic.write_folder(folder, 'cmnist catalog', names) as unfinished:
    gallery = collect(data_dir, sample=sample, further=further)
    root = paths.data_root(data_dir)
    if not gallery.images and (root / subsets.SAMPLE).is_dir():
      streams.warn_once(f'{root} has the sample alone: pictures are synthetic.')
      sample, gallery = True, collect(data_dir, sample=True, further=further)
    for name in _FOLDERS:
      (unfinished / name).mkdir()
    for asset in (*(_HERE / 'static').iterdir(), CLASS_NAMES_FONT):
      # Not the mode: an installed package may be read-only.
      shutil.copyfile(asset, unfinished / 'static' / asset.name)
    _write_pictures(unfinished / 'pictures', gallery)
    pages = _pages(gallery, shown, listed, results)
    shared = {'gallery': gallery, 'subsets': shown, 'sources': listed}
    shared |= {'advice': advice.items()}
    bar = streams.progress_bar(pages, desc='Pages')
    for path, template, facts in bar:
      page = {'sample': sample, 'root': '../' * path.count('/')}
      text = templates.get_template(template).render(page | shared | facts)
      (unfinished / path).write_text(text, encoding='utf-8')
  return [s for s in listed if not gallery.shown(subsets.combine(s))]


def _templates() -> jinja2.Environment:
  with needs_extra('The catalog', 'hub'):
    import jinja2
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / 'templates'),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  environment.filters['number'] = lambda n: '?' if n is None else f'{n:,}'
  environment.filters['data_url'] = _data_url
  environment.globals.update(
    script=_script,
    name_of=unicodedata.name,
    ord=ord,
    splits=SPLITS,
    scale=IMAGE_SIZE * _SCALE,
    compared=similarity.EXAMPLES,
    package=subsets,
    zip=zip,
  )
  return environment


def _script(character: str) -> str:
  """Returns the script of a character, such as 'Hiragana'.

  The Unicode name of a character begins with its script. The digits 0 to 9
  belong to all scripts, so their script is 'Digit'.
  """
  first = unicodedata.name(character).partition(' ')[0]
  return 'Digit' if first == 'DIGIT' else first.capitalize()


def _data_url(image: np.ndarray) -> str:
  """Returns an image, uint8 (28, 28), as a `data:` URL."""
  encoded = base64.b64encode(*png.encode(image[None])).decode()
  return f'data:image/png;base64,{encoded}'


def _pages(
  gallery: Gallery,
  shown: Sequence[Subset],
  listed: Sequence[Source],
  results: _Results,
) -> Iterator[tuple[str, str, dict[str, Any]]]:
  """Yields the path, the template and the variables of each page."""
  yield 'index.html', 'index.html', {}
  # Combinations with extensions have pages only if they were asked for.
  classes = [
    {'key': s.key, 'title': s.title, 'classes': s.class_names} for s in SOURCES
  ]
  yield 'compose.html', 'compose.html', {'sources': SOURCES, 'facts': classes}
  for subset in shown:
    pairs = gallery.look_alikes(subset)[:PAIRS]
    facts = {'subset': subset, 'pairs': pairs, 'results': results(subset)}
    yield f'subsets/{subset.name}.html', 'subset.html', facts
  for source in listed:
    single = subsets.combine(source)
    members = [s for s in shown if source in s.sources]
    facts = {'source': source, 'single': single, 'members': members}
    facts['results'] = results(single)
    yield f'sources/{source.key}.html', 'source.html', facts


def _write_pictures(folder: pathlib.Path, gallery: Gallery) -> None:
  """Writes the images of each source, and the CSS that shows them.

  The images of a source are one, with a row for each class.
  """
  rules = []
  width = montage.EXAMPLES * IMAGE_SIZE
  for source in dict.fromkeys(source for source, _ in gallery.images):
    single = subsets.combine(source)
    sheet = np.zeros((single.num_classes * IMAGE_SIZE, width), np.uint8)
    for c in gallery.shown(single):
      few = np.hstack(gallery.images_of(c)[: montage.EXAMPLES])
      sheet[c.label * IMAGE_SIZE :][:IMAGE_SIZE, : few.shape[1]] = few
    file = f'{source.key}.png'
    size = f'{width * _SCALE}px {len(sheet) * _SCALE}px'
    (folder / file).write_bytes(*png.encode(sheet[None]))
    style = f'background-image: url({file}); background-size: {size};'
    rules.append(f'.of-{source.key} {{ {style} }}\n')
  (folder / 'pictures.css').write_text(''.join(rules), encoding='utf-8')
