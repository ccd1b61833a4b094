# SPDX-License-Identifier: Apache-2.0
"""Runs code that is shown to users, as they run it."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

_OPTIONAL = {'grain', 'jax', 'jinja2', 'matplotlib', 'pandas', 'PIL', 'torch'}


def _needs(language: str, code: str) -> set[str]:
  """The optional packages a snippet imports, or others import for it."""
  named = set(re.findall(r'^(?:from|import) ([a-z0-9]+)', code, re.M))
  if 'as_dataframe' in code:
    named |= {'pandas', 'matplotlib', 'jinja2'}
  if language == 'sh' and '.png' in code:
    named.add('matplotlib')
  return named & _OPTIONAL


def run(language: str, code: str, folder: pathlib.Path) -> None:
  """Runs a snippet in a folder, which has its prepared data too.

  Skips, naming it, if a package the snippet needs is not installed.

  Args:
    language: 'python' or 'sh'.
    code: The snippet.
    folder: Where it runs.
  """
  for package in sorted(_needs(language, code)):
    if importlib.util.find_spec(package) is None:
      pytest.skip(f'{package} is not installed')
  if language == 'sh':
    code = re.sub(
      '^cmnist ', f'{sys.executable} -m cmnist_tfds ', code, flags=re.M
    )
    code = re.sub('^python ', f'{sys.executable} ', code, flags=re.M)
    command = ['sh', '-e', '-c', code]
  else:
    # Users should see none of these either.
    command = [sys.executable, '-W', 'error::UserWarning', '-c', code]
  done = subprocess.run(
    command,
    cwd=folder,
    env={
      **os.environ,
      'PYTHONPATH': str(_REPOSITORY),
      'TFDS_DATA_DIR': str(folder / 'data'),
      'MPLBACKEND': 'agg',
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
