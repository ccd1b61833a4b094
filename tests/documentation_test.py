# SPDX-License-Identifier: Apache-2.0
"""What the documentation says is so: snippets, links, figures and tables."""

import itertools
import os
import pathlib
import re

import numpy as np
import pytest
import running
import synthetic

from cmnist_tfds import subsets
from cmnist_tfds.scoring import predictions, results
from cmnist_tfds.sources import SOURCES, declaration, registry

# Snippets ----------------------------------------------------------------------

_DOCS = running.REPOSITORY / 'docs'
_PAGES = sorted([*running.REPOSITORY.glob('*.md'), *_DOCS.rglob('*.md')])
# Both name the extra that each section needs.
_STARTED = (_DOCS / 'getting-started.md').read_text('utf-8')
_SECTIONS = re.split(
  '^##+ ', _STARTED + (_DOCS / 'reading.md').read_text('utf-8'), flags=re.M
)
# What each extra brings that the package does not, as it is imported.
_EXTRAS = {
  'figures': ['matplotlib', 'pandas', 'jinja2', 'PIL'],
  'hub': ['jinja2', 'mlcroissant'],
  'jax': ['jax', 'flax', 'grain', 'optax', 'PIL'],
  'tensorflow': ['tensorflow', 'keras'],
  'torch': ['torch', 'torchvision', 'PIL'],
}


def _page(name):
  found = running.snippets((_DOCS / f'{name}.md').read_text('utf-8'))
  assert found, f'{name} has no snippets'
  return found


def _trains(code):
  return 'baseline net' in code


@pytest.mark.parametrize(
  'page',
  [
    *('evaluating', 'hugging-face', 'names-without-import', 'pytorch'),
    *(
      pytest.param(page, marks=pytest.mark.slow)
      for page in ('benchmarking', 'getting-started', 'reading')
    ),
  ],
)
def test_snippets_of_a_page_run(page, tmp_path):
  quick = [each for each in _page(page) if not _trains(each[1])]
  running.run_page(quick, tmp_path)


def test_recipes_run(tmp_path):
  pages = sorted(_DOCS.glob('recipes/*.md'))
  found = [_page(f'recipes/{page.stem}') for page in pages]
  running.run_page([*itertools.chain.from_iterable(found)], tmp_path)


@pytest.mark.slow
def test_the_snippet_that_trains_networks_runs(tmp_path):
  (snippet,) = [each for each in _page('evaluating') if _trains(each[1])]
  running.run(*snippet, tmp_path)


def _extra_of(section):
  """The extra a section names as its own, None if it names none."""
  found = re.search('^Extra: `([a-z]+)`', section, re.M)
  return found and found[1]


@pytest.mark.parametrize('section', _SECTIONS, ids=lambda s: s.splitlines()[0])
def test_snippets_import_what_their_section_says(section):
  always = ['cmnist_tfds', 'etils', 'numpy', 'tensorflow_datasets']
  extra = _EXTRAS.get(_extra_of(section), ())
  for _, code in running.snippets(section):
    imported = re.findall('^(?:from|import) ([a-z_]+)', code, re.M)
    assert {*imported} <= {*always, *extra}


def test_extras_are_declared():
  assert {*map(_extra_of, _SECTIONS)} == {*_EXTRAS, None}
  project = (running.REPOSITORY / 'pyproject.toml').read_text('utf-8')
  _, _, project = project.partition('[project.optional-dependencies]')
  declared = re.findall(r'^(\w+) = \[$', project.partition('\n[')[0], re.M)
  table = _STARTED.partition('| extra |')[2].partition('\n\n')[0]
  assert declared == re.findall('^[|] `(.*?)`', table, re.M)
  modules = (running.REPOSITORY / 'cmnist_tfds').rglob('*.py')
  runs = running.REPOSITORY.glob('.github/workflows/*')
  named = re.findall(
    r"""needs_extra\(.*, '(.+)'\)|[Ee]xtra[s:]* `([a-z-]+)`|['"]\.\[(.+?)\]['"]""",
    ''.join(path.read_text('utf-8') for path in (*modules, *runs, *_PAGES)),
  )
  assert {*','.join(map(''.join, named)).split(',')} <= {*declared}


# Links ---------------------------------------------------------------------------


def _anchors(text):
  """The anchors that GitHub gives to headings."""
  prose = re.sub('^```.*?^```$', '', text, flags=re.M | re.S)
  return {
    re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-')
    for heading in re.findall('^#+ (.*)', prose, re.M)
  }


@pytest.mark.parametrize('page', _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
  links = re.findall(r'\]\(([^)\s]+)\)', page.read_text('utf-8'))
  for link in [link for link in links if not re.match('[a-z]+:', link)]:
    path, _, anchor = link.partition('#')
    target = (page.parent / path).resolve() if path else page
    assert target.exists(), link
    if anchor:
      assert anchor in _anchors(target.read_text('utf-8')), link


# Figures and tables --------------------------------------------------------------


def test_the_documented_fields_are_those_of_the_file():
  text = (_DOCS / 'evaluating.md').read_text('utf-8')
  for field in predictions.ABOUT:
    assert f'`{field}`' in text
  assert predictions.FORMAT in text


def test_the_table_of_subsets_is_right():
  scores = {
    (row.subset.name, row.method): row.scores.accuracy.value
    for row in results.read_results(running.REPOSITORY / 'results')
  }
  text = (_DOCS / 'choosing.md').read_text('utf-8')
  rows = re.findall(r'^\| `(.*?)` \| (.*) \|$', text, re.M)
  assert len(rows) == 8
  for name, rest in rows:
    classes, train, balanced, _, *figures = rest.split(' | ')
    subset = subsets.subset(name)
    assert int(classes) == subset.num_classes
    assert int(train.replace(',', '')) == subset.num_train
    expected = 'yes' if subset.balanced else 'no'
    if subset.imbalance and not subset.balanced:
      expected += f', {float(f"{subset.imbalance:.3g}"):g}'
    assert balanced == expected
    measured = [scores.get((n, 'knn-1')) for n in (f'{name}-r-10', name)]
    known = [f'{accuracy:.4f}' for accuracy in measured if accuracy]
    assert figures == [' / '.join(known)] * bool(known)


def test_the_documentation_describes_each_source_as_it_is():
  text = (_DOCS / 'sources.md').read_text('utf-8')
  lines = [line.strip('| ') for line in text.splitlines()]
  rows = {cells[0]: cells for line in lines if (cells := line.split(' | '))}
  for record in SOURCES:
    _, title, sizes, classes, *_ = rows[record.key]
    train, test = (s.num_examples for s in record.splits.values())
    assert title == record.title
    assert sizes == f'{train:,} / {test:,}'
    assert classes.partition(',')[0] == str(len(record.class_names))


# Sources of one's own -------------------------------------------------------------

_OWN = (_DOCS / 'your-own-source.md').read_text('utf-8')
_HEAD, *_SOURCES = re.findall('^```toml\n(.*?)^```$', _OWN, re.M | re.S)
_CODE = dict(running.snippets(_OWN))


@pytest.mark.parametrize('source', _SOURCES)
def test_declarations_are_right(source):
  (found,) = declaration.parse(
    _HEAD + source, 'example', extension=True, beside=pathlib.Path()
  )
  count = 1_000 if found.layout == 'npz' else 900
  assert found.splits['train'].num_examples == count


def test_every_layout_has_an_example():
  described = ' '.join(re.findall('^### (.*):', _OWN, re.M))
  layouts = {'idx', 'npz', 'npy', 'folder', 'csv', 'parquet'}
  assert {*re.findall('`([a-z]+)`', described)} == layouts


def test_the_table_lists_what_the_package_has():
  rows = re.findall(r'^\| ([A-Z][a-z]+) \| (.*?) \| (\S+ / \S+) ', _OWN, re.M)
  shipped = []
  for source in registry.registry().extensions:
    test = source.splits['test'].num_examples
    train = source.splits.get('train')
    counts = f'{train.num_examples:,}' if train else '–'
    title = source.title + (', fold 1' if source.key == 'Hy' else '')
    if source.owner.startswith('cmnist_tfds '):
      shipped.append((source.key, title, f'{counts} / {test:,}'))
  assert sorted(rows) == sorted(shipped)


@pytest.mark.usefixtures('empty_cache')
def test_arrays_become_a_dataset(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('CMNIST_SOURCES', '')
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'data'))
  found = {}
  exec(_CODE['python'], found)
  squares = found['x_test'][found['y_test'] == 1]
  expected = found['x'][1::2]
  assert {i.tobytes() for i in squares} == {i.tobytes() for i in expected}


@pytest.mark.slow
@pytest.mark.usefixtures('empty_cache')
def test_five_commands_lead_to_a_dataset(origin_files, tmp_path, monkeypatch):
  pytest.importorskip('PIL')
  # Bright, as drawings on paper are, so that they are inverted.
  drawn = np.random.default_rng(0).integers(99, 256, (42, 40, 32, 3), np.uint8)
  shapes = {'circle': drawn[:21], 'square': drawn[21:]}
  synthetic.write(tmp_path / 'shapes', synthetic.pictures(shapes))
  assert len(_CODE['sh'].splitlines()) == 5
  monkeypatch.setenv('CMNIST_MIRROR', os.fspath(origin_files))
  running.run('sh', _CODE['sh'], tmp_path)
  text = (tmp_path / 'shapes.toml').read_text('utf-8')
  assert 'convert = ["grey", "invert", "resize"]' in text
