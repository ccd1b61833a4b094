# SPDX-License-Identifier: Apache-2.0
"""The snippets of the documentation run as a user copies them."""

from __future__ import annotations

import re

import pytest
import running

_DOCS = running.REPOSITORY / 'docs'
# Both name the extra that each section needs.
_STARTED = (_DOCS / 'getting-started.md').read_text('utf-8')
_SECTIONS = re.split(
  '^##+ ', _STARTED + (_DOCS / 'reading.md').read_text('utf-8'), flags=re.M
)
# What each extra brings that the package does not, as it is imported.
_EXTRAS = {
  'croissant': ['mlcroissant', 'pyarrow'],
  'flax': ['flax', 'jax', 'optax'],
  'grain': ['grain', 'PIL'],
  'jax': ['jax'],
  'keras': ['keras'],
  'matplotlib': ['matplotlib'],
  'pandas': ['pandas', 'jinja2', 'PIL'],
  'tensorflow': ['tensorflow'],
  'torch': ['torch', 'PIL'],
  'torchvision': ['torchvision', 'torch', 'PIL'],
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
    pytest.param('getting-started', marks=pytest.mark.slow),
    pytest.param('reading', marks=pytest.mark.slow),
  ],
)
def test_snippets_of_a_page_run(page, tmp_path):
  quick = [each for each in _page(page) if not _trains(each[1])]
  running.run_page(quick, tmp_path)


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
  for extra in _EXTRAS:
    assert f'\n{extra} = [\n' in project
    assert f'\n| `{extra}` |' in _STARTED
