# SPDX-License-Identifier: Apache-2.0
"""The catalog in a real browser."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile

import pytest
from contract.serving import serve

from cmnist_tfds import subsets
from cmnist_tfds.scoring import suites
from cmnist_tfds.sources import SOURCES

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
  with tempfile.TemporaryDirectory(dir='/tmp') as folder:
    environment = {**os.environ, 'TMPDIR': folder}
    started = webdriver.ChromeService(service, env=environment)
    with webdriver.Chrome(options=options, service=started) as running_browser:
      yield running_browser


@pytest.fixture
def base(request, catalog_site):
  """Returns the address of the site: on disk, or on a server if asked for."""
  if getattr(request, 'param', 'disk') == 'disk':
    yield catalog_site.as_uri()
  else:
    with serve(catalog_site) as host:
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
  _until(driver, lambda: len(_shown(driver)) == 134)
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
  assert focused().text == next(iter(suites.suites()['core'].members))
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
def test_copy(driver, visit):
  visit('subsets/3-EElKm.html')
  # The test pastes the copied code into this field.
  field = "document.body.append(document.createElement('textarea'))"
  driver.execute_script(field)
  _find(driver, '#load ~ .code .copy').click()
  _until(driver, lambda: _find(driver, '#load ~ .code .copy').text == 'Copied')
  _find(driver, 'textarea').send_keys(_CONTROL, 'v')
  pasted = _find(driver, 'textarea').get_attribute('value')
  assert pasted.startswith('import cmnist_tfds\n')
  shown = _find(driver, '#load ~ .code code').get_attribute('textContent')
  assert pasted == shown


@pytest.mark.parametrize('width', [390, 1280])
@pytest.mark.parametrize('path', _KINDS_OF_PAGES)
def test_nothing_is_too_wide_and_on_a_phone_too_small(
  driver, visit, path, width
):
  visit(path, width)
  # Links within sentences are exempt: they are as high as the line.
  wide, inner, targets, sizes = driver.execute_script("""
    const all = selector => [...document.querySelectorAll(selector)];
    const targets = all(
      'button, input:not([type=checkbox]), select, .tick, nav a, td a, th a');
    const texts = all('body *').filter(e => e.offsetParent &&
      [...e.childNodes].some(
        n => n.nodeType === Node.TEXT_NODE && n.textContent.trim()));
    return [
      document.documentElement.scrollWidth,
      // Not innerWidth, which is still zoomed when a busy phone has just loaded.
      document.documentElement.clientWidth,
      targets.map(e => [e.textContent || e.name, e.getBoundingClientRect()])
        .filter(([, box]) => box.height)
        .map(([name, box]) => [name.trim(), box.width, box.height]),
      texts.map(e => parseFloat(getComputedStyle(e).fontSize))];
  """)
  # A scroll bar takes some of a window.
  assert wide <= inner <= width < inner + 20
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


@pytest.mark.parametrize('path', _KINDS_OF_PAGES)
def test_headings_are_aligned_as_their_columns(driver, visit, path):
  visit(path)
  columns = driver.execute_script("""
    return [...document.querySelectorAll('table')].flatMap(table =>
      [...table.tHead.rows[0].cells].map((heading, i) =>
        [heading, table.tBodies[0].rows[0].cells[i]].map(
          cell => getComputedStyle(cell).textAlign)));
  """)
  assert all(heading == cell for heading, cell in columns), columns
  if path == 'index.html':
    gap = driver.execute_script("""
      const box = selector =>
        document.querySelector(selector).getBoundingClientRect();
      return box('#subsets').top - box('#filter').bottom;
    """)
    assert gap >= 8


@pytest.mark.parametrize('path', ['index.html', 'sources/K49.html'])
def test_a_table_that_goes_on_says_so(driver, visit, path):
  visit(path, 390)

  def drawn_at_the_right_edge(end):
    shot = driver.execute_script(f"""
      const boxes = [...document.querySelectorAll('.scroll')];
      const box = boxes.find(b => b.scrollWidth > b.clientWidth);
      box.scrollIntoView();
      box.scrollLeft = {end};
      const {{right, top}} = box.getBoundingClientRect();
      return [right - 2, top + scrollY + 2];
    """)
    clip = {'x': shot[0], 'y': shot[1], 'width': 1, 'height': 1, 'scale': 1}
    picture = driver.execute_cdp_cmd('Page.captureScreenshot', {'clip': clip})
    return picture['data']

  # A picture may be taken before the browser has drawn what was scrolled.
  ends = ('0', 'box.scrollWidth')
  _until(driver, lambda: len(set(map(drawn_at_the_right_edge, ends))) == 2)
