# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: output, errors, exit status."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest

from cmnist_tfds import cli, subsets

_PROGRAMS = pathlib.Path(__file__).with_name('programs')
_TABLE = pathlib.Path(__file__).with_name('subsets.tsv')


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory) -> str:
  return str(tmp_path_factory.mktemp('data'))


def _run(capsys, *argv):
  """Runs the command line; returns status, what it printed, and its errors."""
  try:
    status = cli.main([str(arg) for arg in argv])
  except SystemExit as stopped:  # That is how argparse ends.
    status = stopped.code
  printed = capsys.readouterr()
  assert 'Traceback' not in printed.err
  return status, printed.out, printed.err


def _run_program(name, *argv):
  """Runs a program of tests/programs in a process of its own."""
  return subprocess.run(
    [sys.executable, str(_PROGRAMS / name), *map(str, argv)],
    check=False,
    capture_output=True,
    text=True,
  )


# list ------------------------------------------------------------------------


def test_list_is_a_line_a_subset(capsys):
  status, out, err = _run(capsys, 'list')
  assert (status, err) == (0, '')
  assert len(out.splitlines()) == 134
  assert out.splitlines()[0].split() == [
    *('2-EEl', 'E,El', '36', 'No', '184,800', '30,800')
  ]


def test_list_as_tsv_is_the_table_of_the_paper(capsys):
  _, out, _ = _run(capsys, 'list', '--format', 'tsv')
  assert out == _TABLE.read_text(encoding='utf-8')


def test_list_all_as_json(capsys):
  _, out, _ = _run(capsys, 'list', '--all', '--format', 'json')
  rows = json.loads(out)
  assert [row['name'] for row in rows] == [s.name for s in subsets.declared()]
  assert {row['train'] for row in rows if row['name'] == 'X-12-r-5'} == {60}


def _listed(capsys, *argv):
  status, out, err = _run(capsys, 'list', *argv, '--format', 'json')
  assert (status, err) == (0, '')
  return json.loads(out)


def test_list_of_subsets_with_and_without_sources(capsys):
  names = [r['name'] for r in _listed(capsys, '--with', 'F', '--without', 'ec')]
  assert names == [
    s.name
    for s in subsets.published()
    if 'F' in (keys := [source.key for source in s.sources])
    and 'Ec' not in keys
  ]
  both = _listed(capsys, '--with', 'F, Kd')
  assert {'2-FKd', '4-EcFKdK49', 'X-12'} <= {row['name'] for row in both}
  assert all({'F', 'Kd'} <= {*row['sources'].split(',')} for row in both)


def test_list_of_small_balanced_subsets_by_size(capsys):
  rows = _listed(
    *(capsys, '--max-classes', '20', '--balanced', '--sort', 'classes')
  )
  assert rows and rows[0]['name'] == '2-EF'
  assert all(r['classes'] <= 20 and r['balanced'] == 'Yes' for r in rows)
  assert [r['classes'] for r in rows] == sorted(r['classes'] for r in rows)
  assert {r['name'] for r in rows} == {
    s.name for s in subsets.published() if s.num_classes <= 20 and s.balanced
  }


@pytest.mark.parametrize('by', ['train', 'test'])
def test_list_by_examples(capsys, by):
  sizes = [row[by] for row in _listed(capsys, '--sort', by)]
  known = [size for size in sizes if size is not None]
  assert known == sorted(known)
  assert None not in sizes[: len(known)]


def test_list_of_difficulty(capsys):
  first, *others = _listed(capsys, '--difficulty', '--sort', 'difficulty')
  assert first['name'] == '2-FKd'
  assert (first['nearest_r-10'], first['nearest_full']) == (0.5905, 0.8756)
  assert all(row['nearest_full'] is None for row in others)
  rows = _listed(capsys, '--all', '--with', 'F,Kd', '--sort', 'difficulty')
  assert [row['name'] for row in rows][:3] == [
    *('2-FKd', '2-FKd-r-100', '2-FKd-r-50')
  ]


def test_info_tells_the_difficulty(capsys):
  _, out, _ = _run(capsys, 'info', '2-FKd-r-5')
  assert 'nearest neighbour: 0.5905 with 10 training examples of each' in out
  for other in (['3-EElKm'], ['2-FKd', '--sample']):
    assert 'nearest neighbour' not in _run(capsys, 'info', *other)[1]


def test_info_fits_the_terminal(capsys, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  _, out, _ = _run(capsys, 'info', '4-EcFKdKm')
  assert [x for x in out.splitlines() if len(x) > 80 and '://' not in x] == []


def test_list_of_imbalance(capsys):
  rows = _listed(capsys, '--imbalance', '--sort', 'imbalance')
  ratio = {row['name']: row['imbalance'] for row in rows}
  assert ratio['2-FKd'] == 1
  assert ratio['2-EEl'] == 1.25
  assert ratio['2-EcF'] is None
  assert rows[-1]['imbalance'] is None


def test_list_of_nothing_and_of_unknown_sources(capsys):
  status, _, err = _run(capsys, 'list', '--max-classes', '3')
  assert (status, err) == (
    1,
    'cmnist: no subset is like that; drop a condition\n',
  )
  status, _, err = _run(capsys, 'list', '--with', 'Q')
  assert status == 2
  assert "there is no source 'Q'; the keys are E, Ed" in err


def test_list_with_and_without_a_source(capsys):
  status, _, err = _run(capsys, 'list', '--with', 'Kd,f', '--without', 'F')
  assert (status, err) == (
    2,
    'cmnist: F is in --with and in --without; take it out of one\n',
  )


def test_list_into_a_closed_pipe():
  done = subprocess.run(
    f'{sys.executable} -m cmnist_tfds list --all --format json | head -1',
    shell=True,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout == '[\n'
  assert done.stderr == ''


# info ------------------------------------------------------------------------


def test_info_of_what_is_not_prepared(capsys, tmp_path):
  status, out, err = _run(capsys, 'info', '3-EEIKm', '--data_dir', tmp_path)
  assert (status, err) == (0, '')
  assert 'cmnist/3-EElKm (CMNIST-3-EElKm)' in out
  assert '244,800 train, 40,800 test' in out
  assert f'no: cmnist build 3-EElKm --data_dir {tmp_path}' in out
  assert 'CC BY-SA 4.0' in out and '@' not in out
  assert out.count('お') == 1


def test_info_of_the_sample_says_so(capsys, tmp_path):
  args = ['info', 'X-12', '--sample', '--data_dir', str(tmp_path)]
  assert cli.main(args) == 0
  out = capsys.readouterr().out
  assert 'not CMNIST' in out
  assert 'examples  1,440 train, 288 test' in out
  assert out.count('licence: Apache-2.0') == out.count('licence: ') == 6


def test_info_prints_bibtex_on_request(capsys):
  status, out, err = _run(capsys, 'info', '3-EElKm', '--bibtex')
  assert (status, err) == (0, '')
  entries = re.findall(r'^@\w+\{(\w+),', out, re.M)
  assert entries == ['wenkel2019cmnist', 'cohen2017emnist', 'clanuwat2018deep']
  assert out.startswith('@')


def test_info_tells_known_issues_of_the_sources(capsys, tmp_path):
  _, out, _ = _run(capsys, 'info', '1-El', '--data_dir', tmp_path)
  issues = subsets.subset('1-El').sources[0].known_issues
  assert issues
  for issue in issues:
    assert f'  known issue: {issue}\n' in out


def test_info_of_unknown_counts(capsys, tmp_path):
  _, out, _ = _run(capsys, 'info', '1-Em-r-5000', '--data_dir', tmp_path)
  assert '? train' in out


def test_info_of_what_is_prepared(capsys, data_dir):
  _run(capsys, 'build', 'X-12', '--sample', '--data_dir', data_dir)
  _, out, _ = _run(capsys, 'info', 'x-12', '--sample', '--data_dir', data_dir)
  assert '1,440 train, 288 test' in out
  assert f'{data_dir}/cmnist_sample/X-12/1.0.0' in out
  assert 'unverified' in out


# build -----------------------------------------------------------------------


def test_build_tells_what_was_built_where(capsys, data_dir):
  status, out, err = _run(
    capsys,
    *('build', '2-FKd-r-5', 'CMNIST-2-fkd-r-5', 'X-12-r-1', '--sample'),
    *('--data_dir', data_dir),
  )
  assert (status, err) == (0, '')
  head, *rows = out.splitlines()
  assert head.split() == ['subset', 'examples', 'bytes', 'seconds', 'where']
  assert [row.split()[0] for row in rows] == ['2-FKd-r-5', 'X-12-r-1']
  assert rows[0].split()[1] == '580'
  assert rows[0].endswith(f'{data_dir}/cmnist_sample/2-FKd-r-5/1.0.0')


def test_build_in_processes(capsys, tmp_path):
  status, out, err = _run(
    capsys,
    *('build', 'X-12', 'X-12-r-1', 'X-24', '--sample', '--jobs', '2'),
    *('--data_dir', tmp_path),
  )
  assert (status, err) == (0, '')
  assert len(out.splitlines()) == 4
  shards = [
    next((tmp_path / 'cmnist_sample' / name).rglob('*-test.tfrecord*'))
    for name in ('X-12', 'X-12-r-1')
  ]
  assert os.path.samefile(*shards)


def test_one_failure_does_not_stop_the_others(capsys, tmp_path):
  (tmp_path / 'cmnist_sample/X-12/1.0.0').mkdir(parents=True)
  status, out, err = _run(
    capsys, 'build', 'X-12', 'X-24', '--sample', '--data_dir', tmp_path
  )
  assert status == 1
  assert 'X-24' in out
  assert err.startswith('cmnist: X-12: ') and 'not a finished dataset' in err


def test_overwrite_builds_anew(capsys, data_dir):
  argv = ('build', 'X-24-r-1', '--sample', '--data_dir', data_dir)
  path = pathlib.Path(data_dir) / 'cmnist_sample/X-24-r-1/1.0.0/features.json'
  _run(capsys, *argv)
  before = path.stat().st_ino
  _run(capsys, *argv)
  assert path.stat().st_ino == before
  assert _run(capsys, *argv, '--overwrite')[0] == 0
  assert path.stat().st_ino != before


@pytest.mark.parametrize(
  ('argv', 'message'),
  [
    (['build'], 'name the subsets to build, or give --all'),
    (['build', 'X-12', '--all'], 'name the subsets to build, or give --all'),
    (['build', '2-ElN'], 'in El (EMNIST Letters) and N (notMNIST)'),
    (['build', '2-FKd-r-0'], "not '0'"),
    (['info', '3-EElKn'], "'3-EElKn' is not a CMNIST subset"),
    (['build', 'X-12', '--jobs', '0'], "of at least 1, found '0'"),
    (['show', 'X-12'], 'required: -o'),
    (['paint'], 'invalid choice'),
    ([], 'required'),
  ],
)
def test_usage_errors(argv, message, capsys):
  status, out, err = _run(capsys, *argv)
  assert status == 2
  assert out == ''
  assert message in err


def test_unwritable_data_dir(capsys, tmp_path):
  blocked = tmp_path / 'blocked'
  blocked.touch()
  status, out, err = _run(
    capsys, 'build', 'X-12', '--sample', '--data_dir', blocked
  )
  assert (status, out) == (1, '')
  assert err.startswith('cmnist: X-12: Cannot write to the data folder')
  assert '--data_dir' in err


def test_too_small_a_disk_is_told_before_the_work(
  capsys, tmp_path, monkeypatch
):
  monkeypatch.setattr(
    shutil, 'disk_usage', lambda path: types.SimpleNamespace(free=1)
  )
  status, _, err = _run(capsys, 'build', '2-FKd', '--data_dir', tmp_path)
  assert status == 1
  assert (
    'need about 63.0 MB, but only 1 bytes are free' in err
    and '--data_dir' in err
  )


def test_interrupt_keeps_what_is_finished_and_nothing_else(tmp_path):
  building = subprocess.Popen(
    [
      *(sys.executable, '-m', 'cmnist_tfds', 'build', '--all', '--sample'),
      *('--jobs', '2', '--data_dir', str(tmp_path)),
    ],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  deadline = time.monotonic() + 60
  while not list(tmp_path.rglob('dataset_info.json')):
    assert time.monotonic() < deadline, 'nothing was built'
    time.sleep(0.05)
  os.killpg(building.pid, signal.SIGINT)
  out, err = building.communicate(timeout=60)
  assert building.returncode == 130
  assert err.strip() == 'cmnist: interrupted; what was finished is kept'
  built = [line.split()[0] for line in out.splitlines()[1:]]
  finished = {p.parent.parent.name for p in tmp_path.rglob('features.json')}
  assert set(built) <= finished
  assert not list(tmp_path.rglob('*incomplete*'))


def test_interrupt_while_tfds_is_imported(tmp_path):
  done = _run_program('interrupt_tfds_import.py', tmp_path)
  assert (done.returncode, done.stderr) == (0, '')


# show ------------------------------------------------------------------------


def test_show_draws_a_picture(capsys, data_dir, tmp_path):
  from PIL import Image

  _run(capsys, 'build', '3-EElKm', '--sample', '--data_dir', data_dir)
  picture = tmp_path / 'picture.png'
  status, out, err = _run(
    capsys,
    *('show', '3-EElKm', '--sample', '--data_dir', data_dir, '-o', picture),
  )
  assert (status, err) == (0, '')
  assert '46 classes' in out and str(picture) in out
  with Image.open(picture) as drawn:
    assert drawn.format == 'PNG'
    assert drawn.width > 1000
    # Paper, ink and the images' black and white are all there.
    assert len(drawn.convert('L').getcolors(256)) > 100
  assert [p.name for p in tmp_path.iterdir()] == ['picture.png']


@pytest.mark.usefixtures('empty_cache')
def test_show_of_what_is_not_prepared_says_how(capsys, tmp_path):
  status, _, err = _run(
    capsys, *('show', '2-FKd', '--data_dir', tmp_path, '-o', tmp_path / 'a.png')
  )
  assert status == 1
  assert f'cmnist build 2-FKd --data_dir {tmp_path}' in err


def test_show_into_a_folder_that_is_not_there(capsys, data_dir, tmp_path):
  _run(capsys, 'build', 'X-12', '--sample', '--data_dir', data_dir)
  picture = tmp_path / 'no' / 'picture.png'
  status, _, err = _run(
    capsys,
    *('show', 'X-12', '--sample', '--data_dir', data_dir, '-o', picture),
  )
  assert status == 1
  assert err.startswith('cmnist: ') and str(tmp_path / 'no') in err


# cache -----------------------------------------------------------------------


def _cached(capsys, *argv):
  """Returns the bytes of each listed kind of cached files, and the last line."""
  status, out, err = _run(capsys, 'cache', *argv)
  assert (status, err) == (0, '')
  *rows, total = out.splitlines()
  if rows:
    assert rows.pop(0).split() == ['kind', 'bytes', 'what']
  num_bytes = collections.Counter()
  for row in rows:
    kind, size, *_ = row.split()
    num_bytes[kind] += int(size.replace(',', ''))
  return num_bytes, len(rows), total


def _total(count, num_bytes, folder, done='in'):
  return f'{count} entries, {num_bytes:,} bytes {done} {folder}'


@pytest.fixture
def cache_dir(capsys, tmp_path, monkeypatch):
  """A cache folder, filled by a build."""
  folder = tmp_path / 'cache'
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(folder))
  assert _cached(capsys) == ({}, 0, _total(0, 0, folder))
  argv = ('build', '1-Km', '--sample', '--data_dir', tmp_path / 'data')
  assert _run(capsys, *argv)[0] == 0
  return folder


def test_cache_is_listed_and_measured(capsys, cache_dir):
  num_bytes, count, total = _cached(capsys, 'list')
  assert num_bytes['encoded'] > 0
  assert 'Km train' in _run(capsys, 'cache', 'list')[1]
  assert total == _total(count, num_bytes.total(), cache_dir)
  assert _cached(capsys) == (num_bytes, count, total)
  _, out, _ = _run(capsys, 'cache', 'size')
  *sizes, last = out.splitlines()
  assert [line.split() for line in sizes] == [
    [kind, f'{size:,}'] for kind, size in sorted(num_bytes.items())
  ]
  assert last == total


def test_cache_of_one_kind(capsys, cache_dir):
  num_bytes, _, _ = _cached(capsys)
  encoded, count, total = _cached(capsys, '--kind', 'encoded')
  assert encoded == {'encoded': num_bytes['encoded']}
  assert total == _total(count, encoded.total(), cache_dir)
  assert _cached(capsys, '--kind', 'older') == ({}, 0, _total(0, 0, cache_dir))


def test_cache_is_cleared(capsys, cache_dir):
  num_bytes, count, _ = _cached(capsys)
  _, _, deleted = _cached(capsys, 'clear', '--kind', 'older')
  assert deleted == _total(0, 0, cache_dir, 'deleted from')
  assert _cached(capsys)[0] == num_bytes
  _, num_encoded, _ = _cached(capsys, '--kind', 'encoded')
  _, _, deleted = _cached(capsys, 'clear', '--kind', 'encoded')
  size = num_bytes.pop('encoded')
  assert deleted == _total(num_encoded, size, cache_dir, 'deleted from')
  assert _cached(capsys)[0] == num_bytes
  _, _, deleted = _cached(capsys, 'clear')
  assert deleted == _total(
    count - num_encoded, num_bytes.total(), cache_dir, 'deleted from'
  )
  assert _cached(capsys)[1] == 0


# The program -----------------------------------------------------------------


def test_version(capsys):
  status, out, _ = _run(capsys, '--version')
  assert status == 0
  assert out.startswith('cmnist 1.')


_COMMANDS = (
  *('list', 'info', 'build', 'show', 'verify', 'mirror', 'cache', 'export'),
  *('evaluate', 'compare', 'baseline', 'audit', 'catalog'),
  *('croissant', 'publish', 'tfds-pr', 'source'),
)


def test_help_lists_every_command(capsys):
  status, out, _ = _run(capsys, '--help')
  assert status == 0
  listed = [
    line.split()[0] for line in out.splitlines() if re.match('    [a-z]', line)
  ]
  assert tuple(listed) == _COMMANDS


@pytest.mark.parametrize('command', _COMMANDS)
def test_help(command, capsys):
  status, out, _ = _run(capsys, command, '--help')
  assert status == 0
  assert out.startswith(f'usage: cmnist {command}')


@pytest.mark.parametrize(
  'argv', ['list', 'info X-12 --data_dir none', 'cache', 'build --help']
)
def test_commands_that_need_no_slow_package_import_none(argv):
  done = _run_program('imports_of_command.py', *argv.split())
  slow = {'tensorflow', 'tensorflow_datasets', 'requests', 'PIL', 'jinja2'}
  assert done.returncode == 0, done.stderr
  assert not slow & set(done.stderr.split())
