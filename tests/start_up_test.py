# SPDX-License-Identifier: Apache-2.0
"""`cmnist register` serves programs that do not import the package."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sysconfig
import venv

import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_INSTALLED = 'import sysconfig; print(sysconfig.get_path("purelib"))'

_LIGHT = """
import sys
heavy = {'cmnist_tfds', 'numpy', 'tensorflow_datasets', 'wrapt'}
assert not heavy & set(sys.modules)
"""
# Programs write names in any case; the builder alone knows them all.
_READ = """
import sys
import tensorflow_datasets as tfds
builder = tfds.builder('cmnist_sample/x-12', data_dir=sys.argv[1])
assert 'X-12' in builder.info.full_name
"""


@pytest.fixture(scope='module')
def python(tmp_path_factory):
  """A virtual environment's Python, and how it is run."""
  folder = tmp_path_factory.mktemp('environment')
  venv.create(folder)
  name = 'Scripts/python.exe' if os.name == 'nt' else 'bin/python'
  path = [str(_REPOSITORY), sysconfig.get_path('purelib')]

  def run(*argv, **kwargs):
    return subprocess.run(
      [folder / name, *map(str, argv)],
      env={
        **os.environ,
        'PYTHONPATH': os.pathsep.join(path),
        'PYTHONDONTWRITEBYTECODE': '',
        'PYTHONPYCACHEPREFIX': '',
      },
      capture_output=True,
      text=True,
      check=False,
      **kwargs,
    )

  return run


def test_datasets_are_found_until_it_is_undone(python, tmp_path):
  assert python('-c', _READ, tmp_path).returncode != 0
  folder = pathlib.Path(python('-c', _INSTALLED).stdout.strip())
  before = sorted(folder.rglob('cmnist_tfds*'))
  done = python('-m', 'cmnist_tfds', 'register')
  assert done.returncode == 0, done.stderr
  assert 'cmnist register --undo' in done.stdout
  light = python('-c', _LIGHT)
  assert (light.returncode, light.stderr) == (0, '')
  read = python('-c', _READ, tmp_path)
  assert read.returncode == 0, read.stderr
  for _ in range(2):
    done = python('-m', 'cmnist_tfds', 'register', '--undo')
    assert done.returncode == 0, done.stderr
  assert python('-c', _READ, tmp_path).returncode != 0
  assert sorted(folder.rglob('cmnist_tfds*')) == before
