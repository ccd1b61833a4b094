# SPDX-License-Identifier: Apache-2.0
"""Every snippet of the pages on frameworks runs as a user copies it."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import pytest
import running

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_STARTED = (_REPOSITORY / 'docs/getting-started.md').read_text('utf-8')
_READING = (_REPOSITORY / 'docs/reading.md').read_text('utf-8')
_SECTIONS = re.split('^##+ ', f'{_STARTED}\n{_READING}', flags=re.M)
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


def extra_of(section):
  """The extra a section names as its own, None if it names none."""
  found = re.search('^Extra: `([a-z]+)`', section, re.M)
  return found and found[1]


_SNIPPETS = [
  pytest.param(snippets, extra_of(section), id=section.splitlines()[0])
  for section in _SECTIONS
  if (snippets := re.findall('^```([a-z]+)\n(.*?)^```$', section, re.M | re.S))
]


@pytest.mark.slow
@pytest.mark.parametrize(('snippets', 'extra'), _SNIPPETS)
def test_snippets_run(snippets, extra, tmp_path):
  for module in _EXTRAS.get(extra, ()):
    if importlib.util.find_spec(module) is None:
      pytest.skip(f'{module}, of the extra {extra}, is not installed')
  for language, code in snippets:
    running.run(language, code, tmp_path)


@pytest.mark.parametrize(('snippets', 'extra'), _SNIPPETS)
def test_snippets_import_what_their_section_says(snippets, extra):
  always = ['cmnist_tfds', 'etils', 'numpy', 'tensorflow_datasets']
  for _, code in snippets:
    imported = re.findall('^(?:from|import) ([a-z_]+)', code, re.M)
    assert {*imported} <= {*always, *_EXTRAS.get(extra, ())}


def test_extras_are_declared():
  assert {*map(extra_of, _SECTIONS)} == {*_EXTRAS, None}
  project = (_REPOSITORY / 'pyproject.toml').read_text('utf-8')
  for extra in _EXTRAS:
    assert f'\n{extra} = [\n' in project
    assert f'\n| `{extra}` |' in _STARTED
