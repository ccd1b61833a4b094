# SPDX-License-Identifier: Apache-2.0
"""Standard streams, encodings and logging as people have them."""

from __future__ import annotations

import io
import os
import pathlib
import pty
import subprocess
import sys

import numpy as np
import odd_streams
import preparing
import pytest

import cmnist_tfds
from cmnist_tfds import cli
from cmnist_tfds.formats import png
from cmnist_tfds.system import streams

_PROGRAMS = pathlib.Path(__file__).with_name('programs')
_COMMAND = f'{sys.executable} -m cmnist_tfds'


@pytest.fixture(autouse=True)
def _count(record_property):
  record_property('surroundings', 'survived')


def _run(argv):
  """Runs the command line in this process; returns its status."""
  try:
    return cli.main([str(arg) for arg in argv])
  except SystemExit as stopped:
    return stopped.code


def _shell(command, **env):
  return subprocess.run(
    ['bash', '-c', command],
    check=False,
    capture_output=True,
    text=True,
    env={**os.environ, **env},
  )


def _is_one_line(err):
  return err.startswith('cmnist: ') and err.count('\n') == 1


# What a stream can do --------------------------------------------------------


@pytest.mark.parametrize('kind', odd_streams.ALL)
def test_no_odd_stream_is_a_terminal(kind):
  assert streams.is_terminal(odd_streams.ALL[kind]()) is False


def test_a_terminal_is_one():
  master, slave = pty.openpty()
  with open(slave, 'w', encoding='utf-8') as stream:
    assert streams.is_terminal(stream)
  assert not streams.is_terminal(stream)
  os.close(master)


# Python functions ------------------------------------------------------------


@pytest.mark.parametrize('kind', odd_streams.ALL)
@pytest.mark.parametrize('name', ['stdout', 'stderr'])
def test_data_is_prepared_whatever_the_streams(
  kind, name, tmp_path, monkeypatch
):
  monkeypatch.setattr(sys, name, odd_streams.ALL[kind]())
  data = cmnist_tfds.load_data('2-FKd-r-1', data_dir=tmp_path, sample=True)
  assert len(data) == 2


@pytest.mark.parametrize('kind', odd_streams.UNWRITABLE)
def test_tfds_prepares_without_a_stream_for_its_progress_bars(
  kind, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    patch.setattr(sys, 'stderr', odd_streams.UNWRITABLE[kind]())
    assert preparing.prepare(tmp_path, '1-Km-r-1', stock=True).exists()


@pytest.mark.parametrize('encoding', ['ascii', 'cp1252'])
def test_messages_to_a_terminal_that_lacks_characters(
  encoding, tmp_path, monkeypatch
):
  class Terminal(io.TextIOWrapper):
    def isatty(self):
      return True

  out = Terminal(io.BytesIO(), encoding)
  monkeypatch.setattr(sys, 'stdout', out)
  folder = tmp_path / 'データ'
  preparing.prepare(folder, '1-Km-r-1')
  out.flush()
  assert rb'\u30c7' in out.buffer.getvalue()


# Logging ---------------------------------------------------------------------


def _python(code, *argv):
  done = subprocess.run(
    [sys.executable, '-c', code, *map(str, argv)],
    check=False,
    capture_output=True,
    text=True,
    cwd=pathlib.Path(__file__).parent,
  )
  assert done.returncode == 0, done.stderr
  return done.stderr


def test_the_root_logger_is_left_alone(tmp_path):
  _python(
    'import logging, sys\n'
    'before = list(logging.root.handlers), logging.root.level\n'
    'import cmnist_tfds\n'
    'from cmnist_tfds import cli\n'
    'for name in ("X-12", "X-12-r-1"):\n'
    '  cmnist_tfds.load_data(name, data_dir=sys.argv[1], sample=True)\n'
    'argv = ["build", "1-Km", "--sample", "--data_dir", sys.argv[1]]\n'
    'assert cli.main(argv) == 0\n'
    'assert (logging.root.handlers, logging.root.level) == before\n'
    'log = logging.getLogger("cmnist_tfds")\n'
    'assert not log.handlers and log.propagate and log.level == 0',
    tmp_path,
  )


_WARN = (
  'import sys, cmnist_tfds.system.locks, odd_streams, logging\n'
  'def warn():\n'
  '  logging.getLogger("cmnist_tfds").warning("no %s", "locks")\n'
)


def test_warnings_appear_on_stderr_once():
  assert _python(f'{_WARN}warn()') == 'no locks\n'


def test_warnings_follow_the_set_up_of_the_user():
  err = _python(
    f'{_WARN}logging.basicConfig(format="mine: %(name)s: %(message)s")\nwarn()'
  )
  assert err == 'mine: cmnist_tfds: no locks\n'


def test_warnings_survive_every_stream():
  _python(
    f'{_WARN}kept = sys.stderr\n'
    'for make in odd_streams.ALL.values():\n'
    '  sys.stderr = make()\n'
    '  warn()\n'
    'sys.stderr = kept'
  )


def test_warnings_of_commands_are_lines(capsys, tmp_path):
  folder = tmp_path / 'cmnist'
  preparing.prepare(tmp_path, '1-Km-r-1')
  (tmp_path / 'cmnist_sample').rename(folder)
  info = folder / '1-Km-r-1/1.0.0/dataset_info.json'
  info.write_text(
    info.read_text('utf-8').replace('cmnist_sample', 'cmnist'), 'utf-8'
  )
  for shard in info.parent.glob('cmnist_sample-*'):
    shard.rename(info.parent / shard.name.replace('cmnist_sample', 'cmnist'))
  picture = tmp_path / 'a.svg'
  argv = ['show', '1-Km-r-1', '--data_dir', tmp_path, '-o', picture]
  assert _run(argv) == 0
  err = capsys.readouterr().err
  assert err.startswith('cmnist: warning: ')
  assert err.count('unverified origin files') == err.count('\n') == 1


# Commands --------------------------------------------------------------------


@pytest.mark.parametrize('kind', odd_streams.WRITABLE)
def test_commands_write_to_every_object(kind, monkeypatch):
  out, err = (odd_streams.WRITABLE[kind]() for _ in range(2))
  with monkeypatch.context() as patch:
    patch.setattr(sys, 'stdout', out)
    patch.setattr(sys, 'stderr', err)
    assert _run(['list']) == 0
    assert _run(['info', 'Ω']) == 2
  assert len(out.text.splitlines()) == 134
  assert _is_one_line(err.text)


@pytest.mark.parametrize('argv', [['list'], ['info', '2-FKd'], ['--help']])
@pytest.mark.parametrize('kind', odd_streams.UNWRITABLE)
def test_stdout_that_cannot_be_written_is_told(kind, argv, monkeypatch):
  err = io.StringIO()
  with monkeypatch.context() as patch:
    patch.setattr(sys, 'stdout', odd_streams.UNWRITABLE[kind]())
    patch.setattr(sys, 'stderr', err)
    assert _run(argv) == 1
  assert err.getvalue().startswith('cmnist: Cannot write to standard output: ')
  assert _is_one_line(err.getvalue())


@pytest.mark.parametrize('kind', odd_streams.UNWRITABLE)
def test_the_status_tells_where_stderr_cannot(kind, monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr(sys, 'stderr', odd_streams.UNWRITABLE[kind]())
    assert _run(['info', '2-ElN']) == 2
    assert _run(['build', '--jobs', 'two']) == 2


@pytest.mark.parametrize(
  ('command', 'status', 'told'),
  [
    ('list >&-', 1, 'it is closed'),
    ('--help >&-', 1, 'it is closed'),
    ('list >/dev/full', 1, 'No space left on device. Free space'),
    ('info X-12 >/dev/full', 1, 'No space left on device'),
    ('--version >/dev/full', 1, 'No space left on device'),
    ('list 2>&-', 0, ''),
    ('list >&- 2>&-', 1, ''),
    ('list <&-', 0, ''),
    ('info 2-ElN 2>&-', 2, ''),
    ('info 2-ElN 2>/dev/full', 2, ''),
    ('paint 2>/dev/full', 2, ''),
    ('list --all | head -1', 0, ''),
    ('--help | true', 0, ''),
  ],
)
def test_redirections(command, status, told):
  if '/dev/full' in command and not os.path.exists('/dev/full'):
    pytest.skip('this system has no /dev/full')
  done = _shell(f'set -o pipefail; {_COMMAND} {command}')
  assert done.returncode == status
  if told:
    assert told in done.stderr
    assert _is_one_line(done.stderr)
  else:
    assert done.stderr == ''


def test_files_never_get_the_number_of_a_closed_stream(tmp_path):
  """What C libraries print would end up in the file."""
  done = subprocess.run(
    [
      'bash',
      '-c',
      f'{sys.executable} -c "$0" <&- >&- 2>&-',
      'import os\n'
      'from cmnist_tfds import streams\n'
      'with streams.command_streams():\n'
      '  os._exit(os.open("opened", os.O_CREAT))',
    ],
    check=False,
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': os.path.dirname(cmnist_tfds.__path__[0])},
  )
  assert done.returncode > 2


_SAMPLE_DIR = ['--sample', '--data_dir', '{sample_dir}']

_WITH_PROGRESS = {
  'audit': (['audit', 'X-12', *_SAMPLE_DIR], ['Comparing']),
  'build': (
    ['build', '1-Km-r-2', '--sample', '--data_dir', '{out}'],
    ['Building'],
  ),
  'export': (
    ['export', 'X-12', '--format', 'png', '-o', '{out}/png', *_SAMPLE_DIR],
    ['Writing', 'Saving'],
  ),
  'source new': (['source', 'new', '{out}/pictures'], ['Reading']),
  'verify': (['verify', '1-Km', '--data_dir', '{out}'], ['Checking']),
}


@pytest.mark.parametrize('command', _WITH_PROGRESS)
def test_progress_is_shown_on_terminals_alone(
  command, sample_dir, tmp_path, monkeypatch
):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  for name in ('a', 'b'):
    folder = tmp_path / 'pictures' / name
    folder.mkdir(parents=True)
    for number in range(2):
      (image,) = png.encode(np.full((1, 28, 28), number, np.uint8))
      (folder / f'{number}.png').write_bytes(image)
  argv, shown = _WITH_PROGRESS[command]
  argv = [arg.format(out=tmp_path, sample_dir=sample_dir) for arg in argv]
  for stream in (Terminal(), io.StringIO()):
    with monkeypatch.context() as patch:
      patch.setattr(sys, 'stderr', stream)
      assert _run(argv) == (command == 'verify')
    (tmp_path / 'pictures.toml').unlink(missing_ok=True)
    for doing in shown:
      assert (f'{doing}:' in stream.getvalue()) == stream.isatty()
    assert stream.isatty() or not stream.getvalue()


# Encodings -------------------------------------------------------------------

_TO_PRINT = {
  'list': ['list'],
  'info': ['info', 'X-12', '--sample'],
  'export': ['export', 'X-12', '--sample', '--format', 'idx', '-o', '{out}'],
  'show': ['show', 'X-12', '--sample', '-o', '{out}.svg'],
  'croissant': ['croissant', 'X-12'],
  'verify': ['verify', '1-Km', '--manual_dir', '{out}'],
  'cache': ['cache'],
  'an error': ['info', '2-お'],
  'a usage error': ['build', '--jobs', '二'],
}


@pytest.mark.parametrize('encoding', ['ascii', 'cp1252', 'shift_jis', 'utf-8'])
@pytest.mark.parametrize('command', _TO_PRINT)
def test_text_degrades(command, encoding, sample_dir, tmp_path, monkeypatch):
  # Also a byte that is no text, as Python represents it.
  folder = tmp_path / 'お\udcff'
  argv = [arg.format(out=folder) for arg in _TO_PRINT[command]]
  if '--sample' in argv:
    argv += ['--data_dir', str(sample_dir)]
  out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
  with monkeypatch.context() as patch:
    patch.setattr(sys, 'stdout', out)
    patch.setattr(sys, 'stderr', err)
    status = _run(argv)
    err.flush()
  assert status == {'an error': 2, 'a usage error': 2, 'verify': 1}.get(
    command, 0
  )
  printed = (out.buffer.getvalue() + err.buffer.getvalue()).decode(encoding)
  assert printed
  if command in ('export', 'show'):
    assert '\\udcff' in printed


_OLD_LOCALE = {
  'LC_ALL': 'C',
  'PYTHONUTF8': '0',
  'PYTHONCOERCECLOCALE': '0',
  'PYTHONIOENCODING': '',
}


def test_the_locale_of_c(sample_dir, tmp_path):
  done = _shell(f'{_COMMAND} info 2-FKd', **_OLD_LOCALE)
  assert (done.returncode, done.stderr) == (0, '')
  assert '\\u0ce6' in done.stdout or '\u0ce6' in done.stdout


def test_names_that_the_file_system_cannot_encode(sample_dir, tmp_path):
  done = _shell(
    f'{_COMMAND} export X-12 --sample --data_dir {sample_dir} --format png'
    f' -o {tmp_path}/out',
    **_OLD_LOCALE,
  )
  assert done.returncode == 1
  assert _is_one_line(done.stderr)
  assert f'{tmp_path}/out' in done.stderr and 'PYTHONUTF8=1' in done.stderr
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['x' * 300, f'{"x" * 200}/' * 30 + 'x'])
@pytest.mark.parametrize(
  'argv',
  [
    ['export', 'X-12', '--format', 'idx', '-o', '{out}'],
    ['show', 'X-12', '-o', '{out}.svg'],
    ['catalog', '-o', '{out}'],
    ['info', 'X-12', '--data_dir', '{out}'],
    ['build', 'X-12', '--data_dir', '{out}'],
  ],
)
def test_names_that_the_file_system_refuses(
  name, argv, sample_dir, tmp_path, capsys
):
  argv = [arg.format(out=tmp_path / name) for arg in argv]
  if '--data_dir' not in argv:
    argv += ['--data_dir', sample_dir]
  assert _run([*argv, '--sample']) == 1
  err = capsys.readouterr().err
  assert _is_one_line(err)
  assert 'too long' in err or 'does not exist' in err


def test_bytes_that_are_no_text_in_every_file(sample_dir, tmp_path, capsys):
  data_dir = tmp_path / 'data\udcff'
  data_dir.symlink_to(sample_dir)
  for command in (
    ['publish', 'X-12'],
    ['croissant', 'X-12'],
    ['catalog'],
    ['export', 'X-12', '--format', 'csv'],
  ):
    out = tmp_path / f'{command[0]}\udcff'
    argv = [*command, '--sample', '--data_dir', data_dir, '-o', out]
    assert _run(argv) == 0, capsys.readouterr().err
    for path in out.rglob('*'):
      if path.suffix in ('.html', '.json', '.csv', '.md'):
        path.read_text('utf-8')
  assert _run(['build', '1-Km', '--sample', '--data_dir', data_dir]) == 0


@pytest.mark.parametrize(
  'argv', [[b'\xff'], [b'info', b'2-\xff'], [b'list', b'--\xff']]
)
def test_arguments_that_are_no_text(argv):
  done = subprocess.run(
    [sys.executable, '-m', 'cmnist_tfds', *argv],
    check=False,
    capture_output=True,
  )
  assert done.returncode == 2
  assert b'Traceback' not in done.stderr


def test_every_file_is_opened_with_an_encoding(tmp_path):
  done = subprocess.run(
    [
      *(sys.executable, '-X', 'warn_default_encoding'),
      *(str(_PROGRAMS / 'forbid_default_encoding.py'), str(tmp_path)),
    ],
    env={**os.environ, 'PYTHONIOENCODING': 'utf-8'},
    check=False,
    capture_output=True,
    encoding='utf-8',
  )
  assert done.returncode == 0, done.stderr
