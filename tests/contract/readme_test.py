# SPDX-License-Identifier: Apache-2.0
"""The commands and the code of the README work as they stand there."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

_README = pathlib.Path(__file__).parents[2] / 'README.md'
_BLOCKS = re.findall(
  r'^```(sh|python)\n(.*?)^```$', _README.read_text('utf-8'), re.M | re.S
)


def _commands():
  """Returns the commands of `cmnist` in the order of the README."""
  lines = [line for kind, text in _BLOCKS if kind == 'sh' for line in
           text.splitlines()]  # fmt: skip
  return [
    part.strip()
    for line in lines
    for part in line.split('&&')
    if part.strip().startswith('cmnist ')
  ]


def test_the_readme_builds_and_shows_the_sample():
  assert 'cmnist build X-12 --sample --data_dir data' in _commands()
  assert any(c.startswith('cmnist show X-12') for c in _commands())


@pytest.mark.slow
def test_commands_and_code(cmnist, origin_files, tmp_path):
  for library in ('mlcroissant', 'PIL'):
    pytest.importorskip(library)
  env = {
    'CMNIST_MIRROR': str(origin_files),
    'TFDS_DATA_DIR': str(tmp_path / 'datasets'),
    'CMNIST_CACHE_DIR': str(tmp_path / 'cache'),
  }
  for line in _commands():
    cmnist.works(*shlex.split(line)[1:], cwd=tmp_path, **env)
  assert (tmp_path / 'x-12.png').read_bytes()[:4] == b'\x89PNG'
  assert (tmp_path / 'hub/README.md').is_file()
  for kind, code in _BLOCKS:
    if kind == 'python':
      if 'datasets import' in code and not importlib.util.find_spec('datasets'):
        continue
      done = subprocess.run(
        [sys.executable, '-W', 'error::UserWarning', '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path), **env},
        capture_output=True,
        text=True,
        check=False,
      )
      assert done.returncode == 0, done.stderr


def test_the_command_that_shows_the_sample(cmnist, tmp_path):
  """As the README has it, one after the other."""
  pytest.importorskip('PIL')
  for line in _commands()[:2]:
    cmnist.works(*shlex.split(line)[1:], cwd=tmp_path)
  assert (tmp_path / 'x-12.png').read_bytes()[:4] == b'\x89PNG'
  assert (tmp_path / 'data/cmnist_sample/X-12/1.0.0').is_dir()


def test_the_tests_are_run_by_one_command():
  text = _README.read_text('utf-8')
  assert re.search(r"pip install -e '\.\[tests\]' && pytest -n auto$", text,
                   re.M)  # fmt: skip
