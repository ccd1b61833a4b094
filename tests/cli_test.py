# SPDX-License-Identifier: Apache-2.0
"""What commands print, beyond what the contract of the command line says."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from command_line import run

from cmnist_tfds import subsets

_PROGRAMS = pathlib.Path(__file__).with_name('programs')
_TABLE = pathlib.Path(__file__).with_name('subsets.tsv')


def _works(capsys, *argv) -> str:
  """Returns what a command printed, which succeeded without warnings."""
  status, out, err = run(capsys, *argv)
  assert (status, err) == (0, '')
  return out


def _listed(capsys, *argv) -> list[dict]:
  return json.loads(_works(capsys, 'list', *argv, '--format', 'json'))


@pytest.fixture
def built(capsys, tmp_path):
  """Arguments that name a data folder with X-12 of the sample."""
  where = ('--sample', '--data_dir', tmp_path / 'data')
  _works(capsys, 'build', 'X-12', *where)
  return where


# list ------------------------------------------------------------------------


def test_list_is_a_line_a_subset(capsys):
  lines = _works(capsys, 'list').splitlines()
  assert len(lines) == 134
  assert lines[0].split() == ['2-EEl', 'E,El', '36', 'No', '184,800', '30,800']
  out = _works(capsys, 'list', '--format', 'tsv')
  assert out == _TABLE.read_text(encoding='utf-8')
  rows = _listed(capsys, '--all')
  assert [row['name'] for row in rows] == [s.name for s in subsets.declared()]
  assert {row['train'] for row in rows if row['name'] == 'X-12-r-5'} == {60}


@pytest.mark.parametrize(
  ('argv', 'fits'),
  [
    ('--with F --without ec', lambda s, keys: 'F' in keys and 'Ec' not in keys),
    ('--with F,Kd', lambda s, keys: keys >= {'F', 'Kd'}),
    ('--max-classes 20', lambda s, keys: s.num_classes <= 20),
    ('--balanced', lambda s, keys: s.balanced),
  ],
)
def test_list_of_subsets_that_meet_a_condition(capsys, argv, fits):
  keys = {s: {source.key for source in s.sources} for s in subsets.published()}
  fitting = [s.name for s in keys if fits(s, keys[s])]
  assert [row['name'] for row in _listed(capsys, *argv.split())] == fitting


@pytest.mark.parametrize('by', ['classes', 'train', 'test', 'imbalance'])
def test_list_in_order(capsys, by):
  sizes = [row[by] for row in _listed(capsys, '--sort', by, '--imbalance')]
  known = [size for size in sizes if size is not None]
  assert known == sorted(known)
  # What is not known comes last.
  assert None not in sizes[: len(known)]


def test_list_of_imbalance_and_difficulty(capsys):
  ratio = {r['name']: r['imbalance'] for r in _listed(capsys, '--imbalance')}
  assert (ratio['2-FKd'], ratio['2-EEl'], ratio['2-EcF']) == (1, 1.25, None)
  first, *others = _listed(capsys, '--difficulty', '--sort', 'difficulty')
  assert first['name'] == '2-FKd'
  assert (first['nearest_r-10'], first['nearest_full']) == (0.5905, 0.8756)
  assert all(row['nearest_full'] is None for row in others)
  rows = _listed(capsys, '--all', '--with', 'F,Kd', '--sort', 'difficulty')
  names = [row['name'] for row in rows]
  assert names[:3] == ['2-FKd', '2-FKd-r-100', '2-FKd-r-50']


@pytest.mark.parametrize(
  ('argv', 'status', 'error'),
  [
    ('--max-classes 3', 1, 'no subset is like that; drop a condition'),
    ('--with Q', 2, "There is no source 'Q'. The keys are E, Ed"),
    ('--with Kd,f --without F', 2, 'F is in --with and in --without'),
  ],
)
def test_list_of_nothing(capsys, argv, status, error):
  found, out, err = run(capsys, 'list', *argv.split())
  assert (found, out) == (status, '')
  assert error in err


# info ------------------------------------------------------------------------


def test_info_of_what_is_not_prepared(capsys, tmp_path):
  out = _works(capsys, 'info', '3-EEIKm', '--data_dir', tmp_path)
  assert 'cmnist/3-EElKm (CMNIST-3-EElKm)' in out
  assert '244,800 train, 40,800 test' in out
  assert f'no: cmnist build 3-EElKm --data_dir {tmp_path}' in out
  assert 'CC BY-SA 4.0' in out and '@' not in out
  assert out.count('お') == 1
  (source,) = subsets.subset('1-El').sources
  for issue in source.known_issues:
    assert f'known issue: {issue}' in ' '.join(out.split())
  assert '? train' in _works(capsys, 'info', '1-Em-r-5000')


def test_info_of_the_sample_says_so(capsys, built):
  out = _works(capsys, 'info', 'x-12', *built)
  assert 'not CMNIST' in out
  assert 'examples  1,440 train, 288 test' in out
  assert out.count('license: Apache-2.0') == out.count('license: ') == 6
  assert f'prepared  {built[-1]}/cmnist_sample/X-12/1.0.0' in out
  assert 'verification of E: unverified' in out


def test_info_prints_bibtex_on_request(capsys):
  out = _works(capsys, 'info', '3-EElKm', '--bibtex')
  entries = re.findall(r'^@\w+\{(\w+),', out, re.M)
  assert entries == ['wenkel2019cmnist', 'cohen2017emnist', 'clanuwat2018deep']
  assert out.startswith('@')


def test_info_tells_the_difficulty(capsys):
  out = _works(capsys, 'info', '2-FKd-r-5')
  assert 'nearest neighbor: 0.5905 with 10 training examples of each' in out
  for other in (['3-EElKm'], ['2-FKd', '--sample']):
    assert 'nearest neighbor' not in _works(capsys, 'info', *other)


def test_info_fits_the_terminal(capsys, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  out = _works(capsys, 'info', '4-EcFKdKm')
  assert [x for x in out.splitlines() if len(x) > 80 and '://' not in x] == []


# build -----------------------------------------------------------------------


def test_build_tells_what_was_built_where(capsys, tmp_path):
  argv = 'build 2-FKd-r-5 CMNIST-2-fkd-r-5 X-12 X-12-r-1 --sample --jobs 2'
  out = _works(capsys, *argv.split(), '--data_dir', tmp_path)
  head, *rows = out.splitlines()
  assert head.split() == ['subset', 'examples', 'bytes', 'seconds', 'where']
  rows.sort()
  assert [r.split()[0] for r in rows] == ['2-FKd-r-5', 'X-12', 'X-12-r-1']
  assert rows[0].split()[1] == '580'
  assert rows[0].endswith(f'{tmp_path}/cmnist_sample/2-FKd-r-5/1.0.0')
  folder = tmp_path / 'cmnist_sample'
  shards = [folder.glob(f'X-12{r}/*/*-test.tf*') for r in ('', '-r-1')]
  assert os.path.samefile(*map(next, shards))


def test_overwrite_builds_anew(capsys, built, tmp_path):
  path = tmp_path / 'data/cmnist_sample/X-12/1.0.0/features.json'
  before = path.stat().st_ino
  _works(capsys, 'build', 'X-12', *built)
  assert path.stat().st_ino == before
  _works(capsys, 'build', 'X-12', *built, '--overwrite')
  assert path.stat().st_ino != before


# show ------------------------------------------------------------------------


@pytest.mark.parametrize(
  ('options', 'name'),
  [([], 'a.png'), (['--dark'], 'a.svg'), (['--examples', '1'], 'a.png')],
)
def test_show_draws_a_picture(capsys, built, tmp_path, options, name):
  pytest.importorskip('matplotlib')
  picture = tmp_path / 'pictures' / name
  picture.parent.mkdir()
  out = _works(capsys, 'show', 'X-12', *built, '-o', picture, *options)
  assert '12 classes' in out and str(picture) in out
  assert [p.name for p in picture.parent.iterdir()] == [name]


# The program -----------------------------------------------------------------


def test_help_lists_every_command(capsys):
  listed = re.findall('^    ([a-z-]+)', _works(capsys, '--help'), re.M)
  assert ' '.join(listed) == (
    'list info build show verify mirror cache export evaluate compare baseline'
    ' audit catalog croissant publish tfds-pr source'
  )


@pytest.mark.parametrize(
  'argv', ['list', 'info X-12 --data_dir none', 'cache', 'build --help']
)
def test_commands_that_need_no_slow_package_import_none(argv):
  command = [sys.executable, _PROGRAMS / 'imports_of_command.py', *argv.split()]
  done = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
  slow = {'tensorflow', 'tensorflow_datasets', 'requests', 'PIL', 'jinja2'}
  assert not (slow | {'matplotlib'}) & set(done.stderr.split())
