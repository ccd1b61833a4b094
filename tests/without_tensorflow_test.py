# SPDX-License-Identifier: Apache-2.0
"""What returns nothing of TensorFlow works without it; the rest names it."""

import ast
import importlib.metadata
import pathlib
import types

import pytest
import running

from cmnist_tfds.system import extras
from cmnist_tfds.system.errors import CmnistError, MissingExtraError
from cmnist_tfds.system.extras import needs_extra

_NEED_IT = {
  'as_batches',
  'tfds.load',
  'tfds.load as arrays',
  'tfds.load of what is not prepared',
}


def test_all_else_works_and_what_needs_it_names_the_extra(tmp_path):
  program = pathlib.Path(__file__).parent / 'programs/without_tensorflow.py'
  done = running.python(program, tmp_path / 'without_tensorflow')
  assert done.returncode == 0, done.stderr
  # What came of each use: 'done', or the error.
  results = {
    use: ast.literal_eval(result)
    for line in done.stderr.splitlines()
    for use, tab, result in [line.partition('\t')]
    if tab
  }
  failed = {use: result for use, result in results.items() if result != 'done'}
  assert {*failed} == _NEED_IT, failed
  assert len(results) > 15
  for error in failed.values():
    assert error.startswith('MissingExtraError: ')
    assert error.endswith(
      " needs tensorflow, which is not installed. Run: pip install -e '"
      f"{pathlib.Path(__file__).resolve().parents[1]}[tensorflow]'"
    )
    assert '\n' not in error


def _raised(error: Exception) -> MissingExtraError:
  with (
    pytest.raises(MissingExtraError) as raised,
    needs_extra('A picture', 'x'),
  ):
    raise error
  return raised.value


def test_a_library_that_is_there_but_broken_is_not_called_missing():
  broken = ImportError('libfoo.so: no such file\nmore', name='tensorflow')
  error = _raised(broken)
  assert str(error).startswith(
    'A picture needs tensorflow, which cannot be imported (libfoo.so: no such'
    ' file). Run: pip install '
  )
  assert isinstance(error, CmnistError) and isinstance(error, ImportError)


def test_a_library_has_the_name_that_pip_knows():
  text = str(_raised(ModuleNotFoundError(name='PIL')))
  assert 'needs Pillow, which is not installed' in text


@pytest.mark.parametrize(
  ('origin', 'command'),
  [
    (None, "pip install 'cmnist_tfds[torch]'"),
    (
      '{"url": "file:///a/b", "dir_info": {}}',
      "pip install 'cmnist_tfds[torch] @ file:///a/b'",
    ),
    (
      '{"url": "https://example.org/c.git", "vcs_info": {"vcs": "git"}}',
      "pip install 'cmnist_tfds[torch] @ git+https://example.org/c.git'",
    ),
  ],
)
def test_the_command_installs_from_where_the_package_is_from(
  origin, command, tmp_path, monkeypatch
):
  installed = types.SimpleNamespace(read_text=lambda name: origin)
  monkeypatch.setattr(
    importlib.metadata, 'distributions', lambda **_: [installed]
  )
  # Not in a checkout.
  monkeypatch.setattr(extras, '__file__', str(tmp_path / 'a/b/extras.py'))
  assert extras.install_command('torch') == command
