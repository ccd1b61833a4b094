# SPDX-License-Identifier: Apache-2.0
"""What returns nothing of TensorFlow works without it; the rest names it."""

from __future__ import annotations

import ast
import pathlib

import pytest
import running

from cmnist_tfds.system.errors import CmnistError
from cmnist_tfds.system.extras import missing_extra

_NEED_IT = {
  'as_batches',
  'tfds.load',
  'tfds.load as arrays',
  'tfds.load of what is not prepared',
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
  """What came of each use: 'done', or the error."""
  done = running.python(
    pathlib.Path(__file__).parent / 'programs/without_tensorflow.py',
    tmp_path_factory.mktemp('without_tensorflow'),
  )
  assert done.returncode == 0, done.stderr
  return {
    use: ast.literal_eval(result)
    for line in done.stderr.splitlines()
    for use, tab, result in [line.partition('\t')]
    if tab
  }


def test_all_else_works(results):
  failed = {use: result for use, result in results.items() if result != 'done'}
  assert {*failed} == _NEED_IT, failed
  assert len(results) > 15


def test_what_needs_it_names_the_extra_in_one_line(results):
  for use in _NEED_IT:
    assert results[use].startswith('MissingExtraError: ')
    assert results[use].endswith(
      ' needs tensorflow, which is not installed. Run: pip install'
      " 'cmnist_tfds[tensorflow]'"
    )
    assert '\n' not in results[use]


def test_a_library_that_is_there_but_broken_is_not_called_missing():
  broken = ImportError('libfoo.so: no such file\nmore', name='tensorflow')
  error = missing_extra('A picture', broken, 'tensorflow')
  assert str(error) == (
    'A picture needs tensorflow, which cannot be imported (libfoo.so: no such'
    " file). Run: pip install 'cmnist_tfds[tensorflow]'"
  )
  assert isinstance(error, CmnistError) and isinstance(error, ImportError)
