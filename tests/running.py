# SPDX-License-Identifier: Apache-2.0
"""Runs Python in processes of its own, and code that is shown to users."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

_PROGRAM = pathlib.Path(__file__).parent / 'programs/run_snippets.py'
_OPTIONAL = {
  *('PIL', 'datasets', 'duckdb', 'fastai', 'flax', 'grain', 'jax', 'jinja2'),
  *('keras', 'lightning', 'matplotlib', 'mlcroissant', 'optax', 'pandas'),
  *('sklearn', 'tensorflow', 'timm', 'torch', 'torchvision'),
}
# What others import for a snippet in which these words are.
_NEEDED_FOR = {
  'as_dataframe': ('jinja2', 'matplotlib', 'pandas'),
  'baseline net': ('torch',),
  'import CMNIST': ('torch',),
  'CroissantBuilder': ('apache_beam',),
  'benchmark(': ('joblib',),
  'cmnist report': ('pandas',),
  'cmnist run': ('joblib', 'sklearn'),
  'cmnist publish': ('mlcroissant',),
  'import grain': ('PIL',),
  '.png': ('matplotlib',),
}


def python(
  *argv: object, cwd: pathlib.Path | None = None, data: str = '', **env: str
) -> subprocess.CompletedProcess[str]:
  """Runs Python with arguments, which import this package; `data` is stdin."""
  return subprocess.run(
    [sys.executable, *map(str, argv)],
    cwd=cwd,
    env={**os.environ, 'PYTHONPATH': str(REPOSITORY), **env},
    input=data,
    capture_output=True,
    text=True,
    check=False,
  )


def works(*argv: object, **kwargs) -> str:
  """Runs Python, which must not fail; returns what it printed."""
  done = python(*argv, **kwargs)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


def snippets(text: str) -> list[tuple[str, str]]:
  """The snippets of Markdown: the language and the code of each."""
  return re.findall('^```(sh|python)\n(.*?)^```$', text, re.M | re.S)


def _missing(code: str) -> set[str]:
  """The optional packages that a snippet needs and that are not installed."""
  needed = {*re.findall(r'^(?:from|import) (\w+)', code, re.M)} & _OPTIONAL
  for words, packages in _NEEDED_FOR.items():
    needed |= {*packages} if words in code else set()
  return {name for name in needed if not importlib.util.find_spec(name)}


def run_page(page: Sequence[tuple[str, str]], folder: pathlib.Path) -> None:
  """Runs snippets in a folder, which has their prepared data too.

  What needs a package that is not installed is left out, and the test ends as
  one that was skipped for want of it.

  Args:
    page: The language, 'python' or 'sh', and the code of each snippet.
    folder: Where they run.
  """
  missing = {code: _missing(code) for _, code in page}
  works(
    *('-W', 'error::UserWarning', _PROGRAM),
    cwd=folder,
    data=json.dumps([each for each in page if not missing[each[1]]]),
    TFDS_DATA_DIR=str(folder / 'data'),
    MPLBACKEND='agg',
  )
  if names := set().union(*missing.values()):
    pytest.skip(f'not installed: {", ".join(sorted(names))}')


def run(language: str, code: str, folder: pathlib.Path) -> None:
  """Runs one snippet; see `run_page`."""
  run_page([(language, code)], folder)
