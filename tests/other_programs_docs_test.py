# SPDX-License-Identifier: Apache-2.0
"""The snippets for other programs run, where those are installed."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import pytest
import running

_DOCS = pathlib.Path(__file__).resolve().parent.parent / 'docs'
_CODE = re.compile('^```([a-z]+)\n(.*?)^```$', re.M | re.S)
_PAGES = {
  page: re.findall(_CODE, (_DOCS / f'{page}.md').read_text('utf-8'))
  for page in ('hugging-face', 'names-without-import')
}
_PYTORCH = re.findall(_CODE, (_DOCS / 'pytorch.md').read_text('utf-8'))


def _skip_without(code):
  for module in re.findall('^(?:from|import) ([a-z_]+)', code, re.M):
    if importlib.util.find_spec(module) is None:
      pytest.skip(f'{module} is not installed')


@pytest.mark.parametrize('page', _PAGES)
def test_pages_run(page, tmp_path):
  for language, code in _PAGES[page]:
    if 'cmnist publish' in code:
      _skip_without('import mlcroissant')
    if language == 'python':
      _skip_without(code)
  for language, code in _PAGES[page]:
    running.run(language, code, tmp_path)


@pytest.mark.parametrize(
  'code',
  [code for language, code in _PYTORCH if language == 'python'],
  ids=['arguments', 'lightning', 'fastai', 'timm'],
)
def test_recipes_for_pytorch_run(code, tmp_path):
  _skip_without(f'import torch\n{code}')
  running.run('python', code, tmp_path)
