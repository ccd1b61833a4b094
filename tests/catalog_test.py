# SPDX-License-Identifier: Apache-2.0
"""The catalog, as files and in a real browser."""

from __future__ import annotations

import html
import itertools
import json
import os
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
import running
from contract.serving import serve

from cmnist_tfds import cli, subsets
from cmnist_tfds.catalog import characters, site
from cmnist_tfds.catalog.gallery import Gallery
from cmnist_tfds.figures import similarity
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import PreparationError

_DOCS = pathlib.Path(__file__).resolve().parent.parent / 'docs'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> pathlib.Path:
  """The catalog with pictures of the sample."""
  place = tmp_path_factory.mktemp('catalog')
  assert _write(place, '--sample') == 0
  return place / 'site'


def _write(place: pathlib.Path, *argv: object) -> int:
  """Writes a catalog to the folder `site`; returns the exit status."""
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


def test_pages_and_their_sizes(folder):
  pages = {str(p.relative_to(folder)) for p in folder.rglob('*.html')}
  assert pages == {
    *('index.html', 'compose.html'),
    *(f'subsets/{s.name}.html' for s in subsets.published()),
    *(f'sources/{s.key}.html' for s in SOURCES),
  }
  assert (folder / 'index.html').stat().st_size < 300_000
  for subset in subsets.published():
    used = [
      folder / f'subsets/{subset.name}.html',
      folder / 'pictures/pictures.css',
      *(folder / 'static').iterdir(),
      *(folder / f'pictures/{s.key}.png' for s in subset.sources),
    ]
    assert sum(p.stat().st_size for p in used if p.exists()) < 500_000


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(
  folder,
):
  pages = [*folder.rglob('*.html')]
  ids = {p.resolve(): re.findall('id="(.*?)"', p.read_text()) for p in pages}
  for page in pages:
    loaded = _addresses(page, 'img|link|script')
    assert len(loaded) >= 4
    for address in loaded:
      assert not re.match('[a-z]+:|//', address) or address.startswith('data:')
    for target, anchor in _files(page):
      assert target.is_file(), (page, target)
      assert not anchor or anchor in ids[target], (page, anchor)


def test_a_page_says_what_the_records_say(folder):
  subset = subsets.subset('4-EcFKdK49')
  page = folder / f'subsets/{subset.name}.html'
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


def test_a_page_shows_look_alikes(folder):
  text = (folder / 'subsets/3-EElKd.html').read_text(encoding='utf-8')
  shown = re.findall('<figcaption><span>(.*?)</span>', text)
  pairs = [*zip(shown[::2], shown[1::2], strict=True)]
  assert len(pairs) == site.PAIRS
  assert {*itertools.combinations('0O೦', 2)} <= {*pairs}


def test_look_alikes_are_those_of_each_subset_alone():
  random = np.random.default_rng(7)
  chosen = [subsets.subset(n) for n in ('3-EElKd', '4-EElFKm', 'X-24', '1-Km')]
  sources = {source for subset in chosen for source in subset.sources}
  few = lambda: list(random.integers(0, 256, (2, 28, 28), np.uint8))  # noqa: E731
  images = {source: [few() for _ in source.class_names] for source in sources}
  gallery = Gallery(images, {})

  def told(pairs):
    return [
      (
        [(c.source, c.name) for c in pair.classes],
        np.array(pair.images).tolist(),
      )
      for pair in pairs
    ]

  for subset in chosen:
    own = [
      images[c.source][c.source.class_numbers[c.raw_label]]
      for c in subset.classes
    ]
    expected = similarity.find_pairs(subset.classes, own)
    assert told(gallery.look_alikes(subset)) == told(expected)
  # There are no pictures of K49.
  assert gallery.look_alikes(subsets.subset('2-FK49')) == []


@pytest.mark.usefixtures('empty_cache')
def test_nothing_prepared_gives_a_whole_site_without_pictures(tmp_path, capsys):
  assert _write(tmp_path) == 0
  keys = ', '.join(s.key for s in SOURCES)
  assert f'no pictures of {keys}' in capsys.readouterr().out
  assert not list((tmp_path / 'site').rglob('*.png'))
  text = (tmp_path / 'site/subsets/2-EcF.html').read_text(encoding='utf-8')
  for said, count in (
    ('No pictures: no prepared subset', 2),
    ('class="examples', 0),
    ('look-alikes', 0),
    ('The numbers of images of each class are not known', 1),
    ('EMNIST By-class does not state them', 1),
    ('6,000 / 1,000', 20),
  ):
    assert text.count(said) == count, said


def test_the_advice_is_that_of_the_documentation(folder):
  choosing = (_DOCS / 'choosing.md').read_text(encoding='utf-8')
  core = re.findall(r'^\| `(\S+)` \|', choosing, re.M)
  assert [name for name, _ in site.ADVICE] == core
  text = (folder / 'index.html').read_text(encoding='utf-8')
  for name, why in site.ADVICE:
    assert f'<a href="subsets/{name}.html">{name}</a>: {why}' in text


def test_combinations_with_extensions_get_pages_that_were_asked_for(
  tmp_path, capsys
):
  assert _write(tmp_path, '2-fmn', '3-FKdMn', '1-Dg', '1-Qd') == 0
  assert '138 subsets' in capsys.readouterr().out
  pages = {p.name for p in (tmp_path / 'site').rglob('*.html')}
  assert {'2-FMn.html', '3-FKdMn.html', 'Mn.html', 'Dg.html'} <= pages
  page = (tmp_path / 'site/sources/Mn.html').read_text(encoding='utf-8')
  assert '3-FKdMn.html' in page
  assert 'train-images-idx3-ubyte.gz' in page
  for path in (tmp_path / 'site').rglob('*.html'):
    assert all(file.is_file() for file, _ in _files(path)), path


def test_pages_list_the_results_on_their_subset(tmp_path):
  results = pathlib.Path(__file__).resolve().parent.parent / 'results'
  assert _write(tmp_path, '--results', results) == 0
  pages = {
    name: (tmp_path / 'site' / name).read_text('utf-8')
    for name in ('subsets/2-FKd.html', 'subsets/2-FKm.html', 'sources/F.html')
  }
  assert '0.8756' in pages['subsets/2-FKd.html']
  assert pages['subsets/2-FKd.html'].count('recomputed</td>') == 44
  assert pages['sources/F.html'].count('recomputed</td>') == 44
  assert 'recomputed' not in pages['subsets/2-FKm.html']


def test_counts_of_prepared_data_fill_in_what_the_records_lack():
  first, *_, last = subsets.subset('2-EcF').classes
  gallery = Gallery({}, {first.source: [(5778, 958)]})
  assert gallery.counts_of(first) == (5778, 958)
  assert gallery.counts_of(last) == (6000, 1000)
  assert Gallery({}, {}).counts_of(first) == (None, None)


def test_without_jinja_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'jinja2', None)
  with pytest.raises(PreparationError, match=r'cmnist_tfds\[catalog\]'):
    site.write_site(tmp_path / 'site', str(tmp_path), sample=True)
  assert not list(tmp_path.iterdir())


def test_scripts():
  names = ('あ', '೦', 'O', '0', 'Bag')
  assert [*map(characters.script, names)] == [
    *('Hiragana', 'Kannada', 'Latin', 'Digit', 'Word')
  ]
  assert [*map(characters.code_point, names)] == [
    *('U+3042', 'U+0CE6', 'U+004F', 'U+0030', '')
  ]


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


def _snippets(folder: pathlib.Path, name: str) -> dict[str, str]:
  """Returns the code that the page of a subset shows, by framework."""
  text = (folder / f'subsets/{name}.html').read_text('utf-8')
  load = text.partition('<h2 id="load">')[2].partition('<h2')[0]
  found = re.findall('<h3>(.*?)</h3>.*?<code>(.*?)</code>', load, re.S)
  return {framework: html.unescape(code) for framework, code in found}


@pytest.mark.parametrize('framework', _AFTERWARDS)
def test_snippets_run(framework, folder, tmp_path):
  """The code on the page runs, here with the sample in place of CMNIST."""
  shown = _snippets(folder, 'X-12')
  assert shown.keys() == _AFTERWARDS.keys()
  code = f'{_on_the_sample(shown[framework])}\n{_AFTERWARDS[framework]}\n'
  language = 'sh' if framework == 'Command line' else 'python'
  running.run(language, code, tmp_path)


# In a browser ----------------------------------------------------------------


# As Selenium types them.
_TAB, _ENTER, _CONTROL = '\ue004\ue007\ue009'

_KINDS_OF_PAGES = (
  *('index.html', 'compose.html', 'sources/K49.html'),
  *(f'subsets/{name}.html' for name in ('X-12', '2-EdN', '4-EcFKdK49')),
)


@pytest.fixture(scope='module')
def driver():
  webdriver = pytest.importorskip('selenium.webdriver')
  browser = shutil.which('chromium') or shutil.which('google-chrome')
  service = shutil.which('chromedriver')
  if not (browser and service):
    pytest.skip('there is no Chromium with its chromedriver on this machine')
  options = webdriver.ChromeOptions()
  options.binary_location = browser
  for argument in (
    *('headless=new', 'no-sandbox', 'disable-gpu', 'disable-dev-shm-usage'),
    *('no-first-run', 'disable-background-networking', 'disable-sync'),
  ):
    options.add_argument(f'--{argument}')
  logs = {'browser': 'ALL', 'performance': 'ALL'}
  options.set_capability('goog:loggingPrefs', logs)
  # Chromium puts a socket there, whose path may have about 100 characters.
  environment = {**os.environ, 'TMPDIR': '/tmp'}
  started = webdriver.ChromeService(service, env=environment)
  with webdriver.Chrome(options=options, service=started) as running_browser:
    yield running_browser


@pytest.fixture
def base(request, folder):
  """Returns the address of the site: on disk, or on a server if asked for."""
  if getattr(request, 'param', 'disk') == 'disk':
    yield folder.as_uri()
  else:
    with serve(folder) as host:
      yield f'http://{host}'


# Of tests that run with the site on disk and on a web server.
_on_disk_and_server = pytest.mark.parametrize(
  'base', ['disk', 'http'], indirect=True
)


@pytest.fixture
def visit(driver, base):
  """Opens a page, and checks that it logs no errors and loads no other site."""
  driver.get_log('browser')
  driver.get_log('performance')

  def go(path: str, width: int = 0) -> None:
    # Real windows are at least 500 pixels wide, so others are emulated.
    size = {'width': width, 'height': 844 if width else 0}
    metrics = {**size, 'deviceScaleFactor': 1, 'mobile': 0 < width < 500}
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', metrics)
    driver.get('about:blank')
    driver.get(f'{base}/{path}')

  yield go
  assert driver.get_log('browser') == []
  entries = [json.loads(e['message']) for e in driver.get_log('performance')]
  requested = [
    entry['message']['params']['request']['url']
    for entry in entries
    if entry['message']['method'] == 'Network.requestWillBeSent'
  ]
  assert requested
  assert all(url.startswith((base, 'data:', 'about:')) for url in requested)


def _find(driver, selector):
  return driver.find_element('css selector', selector)


def _shown(driver) -> list[str]:
  return driver.execute_script(
    "return [...document.querySelectorAll('#subsets tbody tr')]"
    '.filter(row => row.offsetParent).map(row => row.dataset.name)'
  )


def _type(driver, name, text):
  field = _find(driver, f'[name={name}]')
  field.clear()
  field.send_keys(text)


def _until(driver, condition):
  from selenium.webdriver.support.wait import WebDriverWait

  WebDriverWait(driver, 10, 0.02).until(lambda _: condition())


def _assert_shown(driver, expected):
  # The page filters when it has handled the keys.
  _until(driver, lambda: _shown(driver) == expected)


def _keys(subset):
  return {source.key for source in subset.sources}


def _with(typed):
  """Returns the subsets that have each class or source that is typed."""
  fold = lambda word: word.casefold() if len(word) > 1 else word  # noqa: E731
  wanted = {*map(fold, typed.split())}
  return [
    s
    for s in subsets.published()
    if wanted <= {*map(fold, s.class_names), *map(fold, _keys(s))}
  ]


@pytest.mark.parametrize(
  ('typed', 'expected'),
  [
    ('3-EElKm', ['3-EElKm']),
    ('CMNIST-3-EEIKm', ['3-EElKm']),
    ('2- fashion kannada', ['2-FKd']),
    ('nothing of the kind', []),
    *(
      (typed, [s.name for s in _with(typed)])
      for typed in ('sneaker', 'お', '೦', 'O', 'N', 'お Sneaker')
    ),
  ],
)
def test_search(driver, visit, typed, expected):
  visit('index.html')
  assert len(_shown(driver)) == 134
  _type(driver, 'q', f'{typed}{_ENTER}')
  _assert_shown(driver, expected)
  said = _find(driver, '#count').text
  assert said.startswith(str(len(expected)) if expected else 'No')
  # Enter left the page as it is, and its address restores the search.
  address = driver.current_url
  driver.get('about:blank')
  driver.get(address)
  _assert_shown(driver, expected)


@_on_disk_and_server
def test_filter_and_come_back(driver, visit):
  visit('index.html')
  for key in ('E', 'Kd'):
    _find(driver, f'[name=source][value={key}]').click()
  _find(driver, '[name=balanced] [value=yes]').click()
  _type(driver, 'to', '40')
  _type(driver, 'most', '200000')

  found = [s for s in subsets.published() if {'E', 'Kd'} <= _keys(s)]
  expected = [
    s.name
    for s in found
    if s.balanced and s.num_classes <= 40 and s.num_train <= 200_000
  ]
  _assert_shown(driver, expected)
  assert 0 < len(expected) < 134
  _find(driver, '#subsets tbody tr:not([hidden]) a').click()
  assert expected[0] in driver.title
  driver.back()
  _assert_shown(driver, expected)
  _find(driver, '[type=reset]').click()
  _until(driver, lambda: len(_shown(driver)) == 134)


@pytest.mark.parametrize('column', ['classes', 'train', 'test'])
def test_sort_with_the_keyboard(driver, visit, column):
  visit('index.html')
  button = _find(driver, f'[data-sort={column}]')
  values = {s.name: getattr(s, f'num_{column}') for s in subsets.published()}
  for direction, backwards in (('ascending', False), ('descending', True)):
    button.send_keys(_ENTER)
    found = [values[name] for name in _shown(driver)]
    assert found == sorted(values.values(), reverse=backwards)
    heading = button.find_element('xpath', '..')
    assert heading.get_attribute('aria-sort') == direction


@pytest.mark.parametrize('path', _KINDS_OF_PAGES)
def test_whatever_takes_the_focus_has_a_name_and_shows_it(driver, visit, path):
  """Checks names in the accessibility tree, and outlines by focusing all."""
  visit(path)

  def names_of_focusable():
    nodes = driver.execute_cdp_cmd('Accessibility.getFullAXTree', {})['nodes']
    return [
      node['name']['value'].strip()
      for node in nodes
      if 'focusable' in (p['name'] for p in node.get('properties', []))
      and node['role']['value'] != 'RootWebArea'
    ]

  # The tree is made after the page.
  _until(driver, lambda: len(names_of_focusable()) > 10)
  assert all(names_of_focusable())
  outlines = driver.execute_script("""
    return [...document.querySelectorAll(
        'a, button, input, select, summary, pre')]
      .filter(e => e.offsetParent && e.tabIndex >= 0).map(e => {
        e.focus({focusVisible: true});
        const {outlineStyle, outlineWidth} = getComputedStyle(e);
        return [document.activeElement === e, outlineStyle, outlineWidth];
      });
  """)
  assert len(outlines) > 10
  assert {tuple(outline) for outline in outlines} == {(True, 'solid', '3px')}


def test_the_index_by_keyboard_alone(driver, visit):
  from selenium.webdriver import ActionChains

  visit('index.html')
  press = lambda keys: ActionChains(driver).send_keys(keys).perform()  # noqa: E731
  focused = lambda: driver.switch_to.active_element  # noqa: E731
  press(_TAB)
  assert focused().text == 'Skip to the content'
  press(_ENTER + _TAB)
  # The first link of the content, which is advice.
  assert focused().text == site.ADVICE[0][0]
  while focused().tag_name == 'a':
    press(_TAB)
  assert focused().get_attribute('name') == 'q'
  press('Sneaker' + _TAB)
  assert focused().tag_name == 'summary'
  press(_TAB + ' ')
  assert focused().get_attribute('value') == 'E'
  found = _with('Sneaker')
  first, *_ = expected = [s.name for s in found if 'E' in _keys(s)]
  _assert_shown(driver, expected)
  while focused().text != first:
    press(_TAB)
  press(_ENTER)
  _until(driver, lambda: driver.title == f'CMNIST-{first}')


def test_tick_sources_and_see_the_name_or_why_not(driver, visit):
  visit('compose.html')
  for keys, said in (
    ('', 'Tick two or more sources.'),
    ('Km E', 'CMNIST-2-EKm, 20 classes'),
    ('Ed', 'No subset: 0 1 2 3 4 5 6 7 8 9 are in E and Ed.'),
    ('Ed El', 'CMNIST-3-EElKm, 46 classes'),
  ):
    for key in keys.split():
      _find(driver, f'#compose [value={key}]').click()
    assert _find(driver, '#composed').text == said
  _find(driver, '#composed a').click()
  assert driver.title == 'CMNIST-3-EElKm'


def test_the_browser_composes_as_the_package_does(driver, visit):
  visit('compose.html')
  keys = [s.key for s in SOURCES]
  choices = [c for n in range(2, 6) for c in itertools.combinations(keys, n)]
  found = driver.execute_script(
    "const facts = JSON.parse(document.getElementById('facts').textContent);"
    'return arguments[0].map(keys => compose(facts, keys).name ?? null);',
    choices,
  )
  published = {s.name for s in subsets.combinations()}
  names = (f'{len(chosen)}-{"".join(chosen)}' for chosen in choices)
  assert found == [name if name in published else None for name in names]
  assert len(set(found)) == len(published) + 1


@_on_disk_and_server
def test_copy(driver, visit, folder):
  visit('subsets/3-EElKm.html')
  # The test pastes the copied code into this field.
  field = "document.body.append(document.createElement('textarea'))"
  driver.execute_script(field)
  _find(driver, '#load ~ .code .copy').click()
  _until(driver, lambda: _find(driver, '#load ~ .code .copy').text == 'Copied')
  _find(driver, 'textarea').send_keys(_CONTROL, 'v')
  pasted = _find(driver, 'textarea').get_attribute('value')
  assert pasted == _snippets(folder, '3-EElKm')['TensorFlow Datasets']


@pytest.mark.parametrize('width', [390, 1280])
@pytest.mark.parametrize('path', _KINDS_OF_PAGES)
def test_nothing_is_too_wide_and_on_a_phone_too_small(
  driver, visit, path, width
):
  visit(path, width)
  # A busy browser lays out the page for another width first.
  _until(driver, lambda: driver.execute_script('return innerWidth') == width)
  # Links within sentences are exempt: they are as high as the line.
  wide, inner, targets, sizes = driver.execute_script("""
    const all = selector => [...document.querySelectorAll(selector)];
    const targets = all(
      'button, input:not([type=checkbox]), select, .tick, nav a, td a, th a');
    const texts = all('body *').filter(e => e.offsetParent &&
      [...e.childNodes].some(
        n => n.nodeType === Node.TEXT_NODE && n.textContent.trim()));
    return [
      document.documentElement.scrollWidth, innerWidth,
      targets.map(e => [e.textContent || e.name, e.getBoundingClientRect()])
        .filter(([, box]) => box.height)
        .map(([name, box]) => [name.trim(), box.width, box.height]),
      texts.map(e => parseFloat(getComputedStyle(e).fontSize))];
  """)
  assert wide <= inner == width
  assert min(sizes) >= 12
  if width < 500:
    assert len(targets) > 5
    assert [t for t in targets if t[1] < 24 or t[2] < 44] == []


@pytest.mark.parametrize(
  ('path', 'field', 'typed', 'seen'),
  [
    ('index.html', '[name=q]', 'Sneaker', '#subsets tr[data-name*=F]'),
    ('compose.html', '#compose input', ' ', '#composed'),
  ],
)
def test_what_is_found_is_in_sight_on_a_phone(
  driver, visit, path, field, typed, seen
):
  visit(path, 390)
  _find(driver, field).send_keys(typed)
  bottom = 'return arguments[0].getBoundingClientRect().bottom'
  element = _find(driver, seen)
  _until(driver, lambda: 0 < driver.execute_script(bottom, element) <= 844)
