# SPDX-License-Identifier: Apache-2.0
"""Standard streams, encodings and logging as people have them."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
import running
from command_line import status as _run

import cmnist_tfds
from cmnist_tfds.system import streams

_COMMAND = f'{sys.executable} -m cmnist_tfds'


def _shell(command, **env):
  pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
  env = {**os.environ, **env}
  return subprocess.run(['bash', '-c', command], check=False, env=env, **pipes)


def _is_one_line(err):
  return err.startswith('cmnist: ') and err.count('\n') == 1


class _Tee:
  """What loggers and test runners put in place of a stream."""

  text = ''

  def write(self, text):
    self.text += text


class _Notebook(io.StringIO):
  encoding = None
  text = property(io.StringIO.getvalue)

  def isatty(self):
    raise RuntimeError('there is no console')


class _RaisingWrite:
  def write(self, text):
    raise RuntimeError('the window is gone')

  flush = write


def _closed():
  stream = io.StringIO()
  stream.close()
  return stream


_UNWRITABLE = [lambda: None, _closed, _RaisingWrite]
_ALL = [_Tee, _Notebook, *_UNWRITABLE]


# Python functions ------------------------------------------------------------


@pytest.mark.parametrize('make', _ALL)
def test_data_is_prepared_whatever_the_streams(make, tmp_path):
  assert streams.is_terminal(make()) is False
  with redirect_stdout(make()), redirect_stderr(make()):
    data = cmnist_tfds.load_data('2-FKd-r-1', data_dir=tmp_path, sample=True)
  assert len(data) == 2


# Logging ---------------------------------------------------------------------


def test_the_root_logger_is_left_alone(tmp_path):
  code = (
    'import logging, sys\n'
    'before = list(logging.root.handlers), logging.root.level\n'
    'import cmnist_tfds\n'
    'from cmnist_tfds import cli\n'
    'cmnist_tfds.load_data("X-12", data_dir=sys.argv[1], sample=True)\n'
    'assert cli.main(["list"]) == 0\n'
    'assert (logging.root.handlers, logging.root.level) == before\n'
    'log = logging.getLogger("cmnist_tfds")\n'
    'assert not log.handlers and log.propagate and log.level == 0'
  )
  running.works('-c', code, tmp_path)


# Commands --------------------------------------------------------------------


@pytest.mark.parametrize('make', [_Tee, _Notebook])
def test_commands_write_to_every_object(make):
  out, err = make(), make()
  with redirect_stdout(out), redirect_stderr(err):
    assert _run('list') == 0
    assert _run('info', 'Ω') == 2
  assert len(out.text.splitlines()) == 135
  assert _is_one_line(err.text)


@pytest.mark.parametrize('make', _UNWRITABLE)
def test_a_stream_that_cannot_be_written(make):
  for argument in ('list', '--help'):
    with redirect_stdout(make()), redirect_stderr(err := io.StringIO()):
      assert _run(argument) == 1
    assert 'Cannot write to standard output: ' in err.getvalue()
    assert _is_one_line(err.getvalue())
  with redirect_stderr(make()):
    assert _run('info', '2-ElN') == 2
    assert _run('build', '--jobs', 'two') == 2


@pytest.mark.parametrize(
  ('command', 'status', 'message'),
  [
    ('list >&-', 1, 'it is closed'),
    ('list >/dev/full', 1, 'No space left on device'),
    ('list >&- 2>&-', 1, ''),
    ('list <&-', 0, ''),
    ('info 2-ElN 2>/dev/full', 2, ''),
    ('paint 2>/dev/full', 2, ''),
    ('list --all | head -1', 0, ''),
    ('--help | true', 0, ''),
  ],
)
def test_redirections(command, status, message):
  if '/dev/full' in command and not os.path.exists('/dev/full'):
    pytest.skip('this system has no /dev/full')
  done = _shell(f'set -o pipefail; {_COMMAND} {command}')
  assert done.returncode == status
  assert message in done.stderr
  assert _is_one_line(done.stderr) if message else not done.stderr


def test_files_never_get_the_number_of_a_closed_stream(tmp_path):
  """What C libraries print would end up in the file."""
  code = (
    'import os\n'
    'from cmnist_tfds.system import streams\n'
    'with streams.command_streams():\n'
    f'  os._exit(os.open("{tmp_path}/opened", os.O_CREAT))'
  )
  done = _shell(f"{sys.executable} -c '{code}' <&- >&- 2>&-")
  assert done.returncode > 2


@pytest.mark.parametrize('quick', [0, 1])
@pytest.mark.parametrize('is_terminal', [True, False])
def test_progress_of_long_work_is_shown_on_terminals(
  is_terminal, quick, monkeypatch
):
  monkeypatch.setattr(streams, 'QUICK', quick)
  err = io.StringIO()
  err.isatty = lambda: is_terminal
  monkeypatch.setattr(sys, 'stderr', err)
  assert list(streams.progress_bar(range(3), desc='Doing')) == [0, 1, 2]
  assert ('Doing' in err.getvalue()) == (is_terminal and not quick)


# Encodings -------------------------------------------------------------------


@pytest.mark.parametrize('encoding', ['ascii', 'cp1252', 'shift_jis', 'utf-8'])
@pytest.mark.parametrize(
  ('argv', 'status'),
  [
    (['info', 'X-12'], 0),
    # Also a byte that is no text, as Python represents it.
    (['info', 'X-12', '--data_dir', '/\u304a\udcff'], 0),
    (['info', '2-\u304a\udcff'], 2),
    (['build', '--jobs', '\u4e8c'], 2),
  ],
)
def test_text_degrades(argv, status, encoding):
  out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
  with redirect_stdout(out), redirect_stderr(err):
    assert _run(*argv) == status
    err.flush()
  assert (out.buffer.getvalue() + err.buffer.getvalue()).decode(encoding)


def test_the_locale_of_c():
  plain = {'LC_ALL': 'C', 'PYTHONIOENCODING': ''}
  off = dict.fromkeys(('PYTHONUTF8', 'PYTHONCOERCECLOCALE'), '0')
  done = _shell(f'{_COMMAND} info 2-FKd', **plain, **off)
  assert (done.returncode, done.stderr) == (0, '')
  assert '\\u0ce6' in done.stdout or '\u0ce6' in done.stdout


@pytest.mark.parametrize('argv', ['', 'info 2-', 'list --'])
def test_arguments_that_are_no_text(argv):
  done = _shell(rf"{_COMMAND} {argv}$'\xff'")
  assert done.returncode == 2
  assert 'Traceback' not in done.stderr
