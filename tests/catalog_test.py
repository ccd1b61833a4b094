# SPDX-License-Identifier: Apache-2.0
"""The catalog as files. `catalog_browser_test` has it in a browser."""

from __future__ import annotations

import contextlib
import html
import io
import itertools
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
import running

from cmnist_tfds import cli, subsets
from cmnist_tfds.catalog import site
from cmnist_tfds.catalog.gallery import Gallery
from cmnist_tfds.figures import similarity
from cmnist_tfds.scoring import suites
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import PreparationError

_ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope='module')
def bare(tmp_path_factory) -> pathlib.Path:
  """A catalog without pictures, with results and with further subsets."""
  place = tmp_path_factory.mktemp('bare')
  further = ('2-fmn', '3-FKdMn', '1-Dg', '1-Qd')
  with pytest.MonkeyPatch.context() as patch:
    # Not the real images that another test may have read.
    patch.setenv('CMNIST_CACHE_DIR', str(place / 'cache'))
    with contextlib.redirect_stdout(io.StringIO()) as said:
      assert _write(place, *further, '--results', _ROOT / 'results') == 0
  (place / 'said').write_text(said.getvalue())
  return place / 'site'


def _write(place: pathlib.Path, *argv: object) -> int:
  """Writes a catalog to the catalog_site `site`; returns the exit status."""
  where = ('--data_dir', place, '-o', place / 'site')
  return cli.main(['catalog', *map(str, (*argv, *where))])


def _addresses(page: pathlib.Path, tags: str) -> list[str]:
  """Returns the addresses that some tags of a page load or link to."""
  pattern = rf'<(?:{tags})\s[^>]*?(?:src|href)="([^"]*)"'
  return list(map(html.unescape, re.findall(pattern, page.read_text('utf-8'))))


def _files(page: pathlib.Path):
  """Yields the path and the anchor of each address of a page on this site."""
  for address in _addresses(page, 'a|img|link|script'):
    if not re.match('https?://|data:', address):
      path, _, anchor = address.partition('#')
      yield (page.parent / path if path else page).resolve(), anchor


def test_pages_and_their_sizes(catalog_site):
  pages = {
    str(p.relative_to(catalog_site)) for p in catalog_site.rglob('*.html')
  }
  assert pages == {
    *('index.html', 'compose.html'),
    *(f'subsets/{s.name}.html' for s in subsets.published()),
    *(f'sources/{s.key}.html' for s in SOURCES),
  }
  assert (catalog_site / 'index.html').stat().st_size < 300_000
  for subset in subsets.published():
    used = [
      catalog_site / f'subsets/{subset.name}.html',
      catalog_site / 'pictures/pictures.css',
      *(catalog_site / 'static').iterdir(),
      *(catalog_site / f'pictures/{s.key}.png' for s in subset.sources),
    ]
    assert sum(p.stat().st_size for p in used if p.exists()) < 500_000


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(
  catalog_site,
):
  pages = [*catalog_site.rglob('*.html')]
  ids = {p.resolve(): re.findall('id="(.*?)"', p.read_text()) for p in pages}
  for page in pages:
    loaded = _addresses(page, 'img|link|script')
    assert len(loaded) >= 4
    for address in loaded:
      assert not re.match('[a-z]+:|//', address) or address.startswith('data:')
    for target, anchor in _files(page):
      assert target.is_file(), (page, target)
      assert not anchor or anchor in ids[target], (page, anchor)


def test_a_page_says_what_the_records_say(catalog_site):
  subset = subsets.subset('4-EcFKdK49')
  page = catalog_site / f'subsets/{subset.name}.html'
  text = html.unescape(page.read_text('utf-8'))
  for said in (
    *(f'<span class="name">{name}</span>' for name in subset.class_names),
    *('1,050,297', 'U+0CE6', 'kannada digit zero', subset.citation),
    *(s.license for s in subset.sources),
    *(issue for s in subset.sources for issue in s.known_issues),
    *('<span class="bar train" style="width: 100.0%">', '4-EcFKdK49-r-50'),
    # The counts are those of CMNIST even if the pictures are the sample's.
    *('6,000 / 1,000', 'The pictures are not CMNIST'),
  ):
    assert said in text


def test_a_page_shows_look_alikes(catalog_site):
  text = (catalog_site / 'subsets/3-EElKd.html').read_text(encoding='utf-8')
  shown = re.findall('<figcaption><span>(.*?)</span>', text)
  pairs = [*zip(shown[::2], shown[1::2], strict=True)]
  assert len(pairs) == site.PAIRS
  assert {*itertools.combinations('0O೦', 2)} <= {*pairs}


def test_look_alikes_are_those_of_each_subset_alone():
  random = np.random.default_rng(7)
  chosen = [subsets.subset(n) for n in ('3-EElKd', '4-EElFKm', 'X-24', '1-Km')]
  sources = {source for subset in chosen for source in subset.sources}
  few = lambda: list(random.integers(0, 256, (2, 28, 28), np.uint8))  # noqa: E731
  images = {(s, n): few() for s in sources for n in s.raw_labels}
  gallery = Gallery(images, {})

  def described(pair):
    return [c.name for c in pair.classes], np.array(pair.images).tolist()

  for subset in chosen:
    own = [images[c.source, c.raw_label] for c in subset.classes]
    expected = similarity.find_pairs(subset.classes, own)
    found = gallery.look_alikes(subset)
    assert [*map(described, found)] == [*map(described, expected)]
  # There are no pictures of K49.
  assert gallery.look_alikes(subsets.subset('2-FK49')) == []


def test_nothing_prepared_gives_a_whole_site_without_pictures(bare):
  keys = ', '.join(s.key for s in SOURCES)
  assert f'no pictures of {keys}' in (bare.parent / 'said').read_text()
  assert not list(bare.rglob('*.png'))
  text = (bare / 'subsets/2-EcF.html').read_text(encoding='utf-8')
  for said, count in (
    ('Classes without pictures are in no prepared subset', 2),
    ('class="examples', 0),
    ('look-alikes', 0),
    ('The numbers of images of each class are not known', 1),
    ('EMNIST By-class does not state them', 1),
    ('6,000 / 1,000', 20),
  ):
    assert text.count(said) == count, said


@pytest.mark.usefixtures('empty_cache')
@pytest.mark.parametrize('dataset', ['cmnist', 'cmnist_sample'])
def test_with_x_12_alone_its_own_images_are_shown(
  sample_dir, tmp_path, capsys, monkeypatch, dataset
):
  """Images of whole sources, and of the classes of CMNIST-X alone."""
  shutil.copytree(sample_dir / 'cmnist_sample', tmp_path / dataset)
  for path in [*(tmp_path / dataset).rglob('*')]:
    path.rename(path.with_name(path.name.replace('cmnist_sample', dataset)))
  monkeypatch.setattr(similarity, 'EXAMPLES', 3)
  # The sample has no extensions.
  assert _write(tmp_path, '3-FKdMn') == 0
  is_sample = dataset == 'cmnist_sample'
  assert ('pictures are synthetic' in capsys.readouterr().err) == is_sample
  shown = {
    name: (tmp_path / f'site/{name}.html').read_text('utf-8')
    for name in ('subsets/X-12', 'subsets/2-FKd', 'sources/F')
  }
  assert [t.count('class="examples') for t in shown.values()] == (
    [12, 20, 10] if is_sample else [12, 4, 2]
  )
  assert all(('are not CMNIST' in t) == is_sample for t in shown.values())
  assert 'id="look-alikes"' in shown['subsets/X-12']
  assert ('id="look-alikes"' in shown['subsets/2-FKd']) == is_sample


def test_the_advice_is_that_of_the_documentation(catalog_site):
  choosing = (_ROOT / 'docs/choosing.md').read_text(encoding='utf-8')
  core = re.findall(r'^\| `(\S+)` \|', choosing, re.M)
  advice = suites.suites()['core'].members
  assert [*advice] == core
  text = (catalog_site / 'index.html').read_text(encoding='utf-8')
  for name, why in advice.items():
    assert f'<a href="subsets/{name}.html">{name}</a>: {why}' in text


def test_combinations_with_extensions_get_pages_that_were_asked_for(bare):
  assert '138 subsets' in (bare.parent / 'said').read_text()
  pages = {p.name for p in bare.rglob('*.html')}
  assert {'2-FMn.html', '3-FKdMn.html', 'Mn.html', 'Dg.html'} <= pages
  page = (bare / 'sources/Mn.html').read_text(encoding='utf-8')
  assert '3-FKdMn.html' in page
  assert 'train-images-idx3-ubyte.gz' in page
  for path in bare.rglob('*.html'):
    assert all(file.is_file() for file, _ in _files(path)), path


def test_pages_list_the_results_on_their_subset(bare):
  names = ('subsets/2-FKd.html', 'subsets/2-FKm.html', 'sources/F.html')
  with_, without, of_source = ((bare / n).read_text('utf-8') for n in names)
  assert '0.8756' in with_
  for page, name in ((with_, '2-FKd'), (of_source, '1-F')):
    files = (running.REPOSITORY / 'results').glob(f'{name}*/*.npz')
    assert page.count('recomputed</td>') == len([*files])
  assert 'recomputed' not in without


def test_counts_of_prepared_data_fill_in_what_the_records_lack():
  first, *_, last = subsets.subset('2-EcF').classes
  gallery = Gallery({}, {(first.source, first.raw_label): (5778, 958)})
  assert gallery.counts_of(first) == (5778, 958)
  assert gallery.counts_of(last) == (6000, 1000)
  assert Gallery({}, {}).counts_of(first) == (None, None)


def test_without_jinja_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'jinja2', None)
  with pytest.raises(PreparationError, match=r'\[hub\]'):
    site.write_site(tmp_path / 'site', str(tmp_path), sample=True)
  assert not list(tmp_path.iterdir())


def test_scripts(catalog_site):
  text = (catalog_site / 'subsets/3-EElKd.html').read_text('utf-8')
  text += (catalog_site / 'sources/Km.html').read_text('utf-8')
  scripts = {*re.findall('class="about">(.*?) <abbr', text)}
  assert scripts == {'Hiragana', 'Kannada', 'Latin', 'Digit'}
  clothes = (catalog_site / 'sources/F.html').read_text('utf-8')
  assert 'U+' not in clothes and 'Word' not in clothes


def test_the_index_has_pictures(catalog_site):
  text = (catalog_site / 'index.html').read_text('utf-8')
  core = suites.suites()['core'].members
  assert text.count('<span class="strip">') == len(core) + len(SOURCES)
  advice = re.findall('<li>.*?</li>', text, re.S)
  for name, item in zip(core, advice, strict=True):
    keys = re.findall('thumb of-(.*?)"', item)
    assert {*keys} <= {s.key for s in subsets.subset(name).sources}
    assert len(keys) >= 12


# Checks to run after the code of each framework, on X-12 of the sample.
_AFTERWARDS = {
  'TensorFlow Datasets': "assert info.splits['train'].num_examples == 1440",
  'NumPy': 'assert x_train.shape == (1440, 28, 28)',
  'Keras': 'assert model.output_shape == (None, 12)',
  'PyTorch': 'assert len(train) == 1440 and images.max() <= 1',
  'JAX': 'assert x_train.shape == (1440, 28, 28, 1) and x_train.max() <= 1',
  'Command line': 'test -s X-12.png',
}


def _on_the_sample(code: str) -> str:
  code = code.replace("'cmnist/", "'cmnist_sample/")
  code = re.sub(r"\('X-12'(, 'train')?", r'\g<0>, sample=True', code)
  return re.sub('cmnist (build|show)', r'\g<0> --sample', code)


def test_snippets_run(catalog_site, tmp_path):
  """The code on the page runs, here with the sample in place of CMNIST."""
  text = (catalog_site / 'subsets/X-12.html').read_text('utf-8')
  load = text.partition('<h2 id="load">')[2].partition('<h2')[0]
  shown = re.findall('<h3>(.*?)</h3>.*?<code>(.*?)</code>', load, re.S)
  code = {
    name: f'{_on_the_sample(html.unescape(lines))}\n{_AFTERWARDS[name]}\n'
    for name, lines in shown
  }
  assert code.keys() == _AFTERWARDS.keys()
  command = code.pop('Command line')
  # It goes on with the arrays.
  code['Keras'] = code['NumPy'] + code['Keras']
  page = [('sh', command), *(('python', each) for each in code.values())]
  running.run_page(page, tmp_path)
