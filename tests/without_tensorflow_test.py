# SPDX-License-Identifier: Apache-2.0
"""What returns nothing of TensorFlow works without it; the rest names it."""

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


@pytest.fixture
def results(tmp_path):
  """What came of each use: 'done', or the error."""
  program = pathlib.Path(__file__).parent / 'programs/without_tensorflow.py'
  done = running.python(program, tmp_path / 'without_tensorflow')
  assert done.returncode == 0, done.stderr
  return {
    use: ast.literal_eval(result)
    for line in done.stderr.splitlines()
    for use, tab, result in [line.partition('\t')]
    if tab
  }


def test_all_else_works_and_what_needs_it_names_the_extra(results):
  failed = {use: result for use, result in results.items() if result != 'done'}
  assert {*failed} == _NEED_IT, failed
  assert len(results) > 15
  for error in failed.values():
    assert error.startswith('MissingExtraError: ')
    assert error.endswith(
      ' needs tensorflow, which is not installed. Run: pip install'
      " 'cmnist_tfds[tensorflow]'"
    )
    assert '\n' not in error


def test_a_library_that_is_there_but_broken_is_not_called_missing():
  broken = ImportError('libfoo.so: no such file\nmore', name='tensorflow')
  error = missing_extra('A picture', broken, 'tensorflow')
  assert str(error) == (
    'A picture needs tensorflow, which cannot be imported (libfoo.so: no such'
    " file). Run: pip install 'cmnist_tfds[tensorflow]'"
  )
  assert isinstance(error, CmnistError) and isinstance(error, ImportError)
