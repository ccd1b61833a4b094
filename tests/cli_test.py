# SPDX-License-Identifier: Apache-2.0
"""What commands print, beyond what the contract of the command line says."""

from __future__ import annotations

import json
import os
import pathlib
import re

import pytest
import running
from command_line import run

import cmnist_tfds
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
  header, *lines = _works(capsys, 'list').splitlines()
  names = ['name', 'sources', 'classes', 'balanced', 'train', 'test', 'hosting']
  assert (header.split(), len(lines)) == (names, 134)
  assert ' '.join(lines[0].split()) == '2-EEl E,El 36 No 184,800 30,800 No'
  assert _works(capsys, 'list', '--format', 'table').splitlines()[1:] == lines
  out = _works(capsys, 'list', '--format', 'tsv')
  table = _TABLE.read_text(encoding='utf-8')
  table = table.replace('\tYes\t', '\ttrue\t')
  table = table.replace('\tNo\t', '\tfalse\t')
  assert re.sub('\t(hosting|yes|no)$', '', out, flags=re.M) == table
  rows = _listed(capsys, '--all')
  assert {row['train'] for row in rows if row['name'] == 'X-12-r-5'} == {60}


@pytest.mark.parametrize(
  ('argv', 'options', 'fits'),
  [
    ('', {}, lambda s, keys: True),
    (
      '--with F --without ec --balanced',
      {'containing': ['F'], 'without': ['ec'], 'balanced': True},
      lambda s, keys: 'F' in keys and 'Ec' not in keys and s.balanced,
    ),
    (
      '--with F,Kd',
      {'containing': ['F', 'Kd']},
      lambda s, k: k >= {'F', 'Kd'},
    ),
    ('--max-classes 20', {'max_classes': 20}, lambda s, _: s.num_classes < 21),
  ],
)
def test_subsets_that_meet_a_condition(capsys, argv, options, fits):
  every = {'reduced': True, 'extensions': True}
  found = cmnist_tfds.find_subsets(**options, **every)
  assert found == [
    s
    for s in cmnist_tfds.find_subsets(**every)
    if fits(s, {source.key for source in s.sources})
  ]
  listed = _listed(capsys, '--all', '--extensions', *argv.split())
  assert [row['name'] for row in listed] == [s.name for s in found]


def test_reduced_subsets_and_extensions_are_found_if_asked_for():
  assert cmnist_tfds.find_subsets() == [*subsets.published()]
  assert cmnist_tfds.find_subsets(reduced=True) == [*subsets.declared()]
  more = cmnist_tfds.find_subsets(extensions=True)
  assert more[:134] == [*subsets.published()]
  assert subsets.subset('1-Mn') in more[134:]


@pytest.mark.parametrize('by', ['classes', 'train', 'test', 'imbalance'])
def test_list_in_order(capsys, by):
  sizes = [row[by] for row in _listed(capsys, '--sort', by, '--imbalance')]
  known = [size for size in sizes if size is not None]
  assert known == sorted(known)
  # What is not known comes last.
  assert None not in sizes[: len(known)]


def test_list_tells_what_may_be_hosted(capsys):
  rows = _listed(capsys, '--extensions')
  for row in rows[:134]:
    free = {*row['sources']} <= {'F', 'Km', 'K49', 'N'}
    assert row['hosting'] == ('yes' if free else 'no')
  others = [row['name'] for row in rows[134:] if row['hosting'] != 'yes']
  assert others == ['1-Dg', '1-Mn']
  assert _works(capsys, 'list').count('  Yes\n') == 7
  assert _works(capsys, 'list', '--format', 'tsv').count('\tyes\n') == 7


def test_list_of_imbalance_and_difficulty(capsys):
  ratio = {r['name']: r['imbalance'] for r in _listed(capsys, '--imbalance')}
  assert (ratio['2-FKd'], ratio['2-EEl'], ratio['2-EcF']) == (1, 1.25, None)
  first, *others = _listed(capsys, '--difficulty', '--sort', 'difficulty')
  assert (first['name'], first['sources']) == ('2-FKd', ['F', 'Kd'])
  assert first['balanced'] is True
  assert (first['nearest_r_10'], first['nearest_full']) == (0.5905, 0.8756)
  assert all(row['nearest_full'] is None for row in others)
  rows = _listed(capsys, '--all', '--with', 'F,Kd', '--sort', 'difficulty')
  names = [row['name'] for row in rows]
  assert names[:3] == ['2-FKd', '2-FKd-r-100', '2-FKd-r-50']


@pytest.mark.parametrize('command', ['list', 'source list', 'cache'])
def test_headers_are_the_same_on_a_terminal_and_in_a_pipe(
  capsys, monkeypatch, built, command
):
  piped = _works(capsys, *command.split())
  monkeypatch.setattr('sys.stdout.isatty', lambda: True)
  assert _works(capsys, *command.split()) == piped


def test_list_shows_extensions_and_own_sources(capsys, tmp_path):
  (tmp_path / 'xy.csv').write_text('label,a,b,c,d\n' + '0,1,2,3,255\n' * 3)
  _works(capsys, 'source', 'new', tmp_path / 'xy.csv', '--first', 1)
  own = ('--sources', tmp_path / 'xy.toml')
  every, some, both = (
    {row['name'] for row in _listed(capsys, *options)[134:]}
    for options in (('--extensions',), own, ('--extensions', *own))
  )
  assert some == {'1-Xy'} and '1-Mn' in every - some
  assert both == every | some and len(_listed(capsys)) == 134
  drafted = own[1].read_text()
  for named, may in (('CC0', 'yes'), ('cc by-nc 4.0', 'yes'), ('a', 'unknown')):
    own[1].write_text(drafted.replace('None stated', named))
    assert _listed(capsys, *own)[-1]['hosting'] == may
  found = _listed(capsys, '--with', 'mn', '--extensions')
  assert [row['sources'] for row in found] == [['Mn']]


# JSON ------------------------------------------------------------------------


def test_json_is_the_record(capsys, built, tmp_path):
  def read(*argv):
    return json.loads(_works(capsys, *argv, '--format', 'json'))

  info = read('info', 'X-12', *built)
  assert (info['train'], info['test'], info['balanced']) == (1440, 288, True)
  assert info['prepared'].endswith('cmnist_sample/X-12/1.0.0')
  row = {'label': 3, 'source': 'El', 'raw': 21, 'train': 120, 'test': 24}
  assert info['classes'][3] == {**row, 'class': 'U'}
  keys = [s['key'] for s in info.pop('sources')]
  assert keys == ['E', 'El', 'F', 'Kd', 'Km', 'N']
  facts = cmnist_tfds.info('cmnist_sample/X-12', data_dir=built[-1])
  assert info.items() <= facts.items()
  assert read('info', '3-EElKm')['prepared'] is None
  (outcome,) = read('build', '2-FKd-r-5', *built)
  assert (outcome['name'], outcome['num_examples']) == ('2-FKd-r-5', 580)
  assert outcome['error'] is None and os.path.isdir(outcome['folder'])
  entries = read('cache')
  sizes = read('cache', 'size')
  assert sum(e['num_bytes'] for e in entries) == sum(sizes.values())
  assert not any(e['is_damaged'] for e in entries)
  sources = {source['key']: source for source in read('source', 'list')}
  assert sources['F']['train']['num_examples'] == 60_000
  assert sources['F']['classes'][0] == 'T-shirt/top'
  audit = read('audit', 'X-12', *built)
  assert {'ratio', 'source_1', 'row_2'} <= {*audit['pairs'][0]}
  images = {'source': 'E', 'split': 'train', 'images': 240, 'different': 240}
  assert audit['images'][0] == images


def test_no_key_of_json_has_a_hyphen(capsys, built):
  for command in ('list', 'info X-12', 'source list', 'cache', 'verify 1-F'):
    where = built if 'info' in command else ()
    _, out, _ = run(capsys, *command.split(), *where, '--format', 'json')
    assert not re.search('^ *"[^"]*-[^"]*": ', out, re.M)


# info ------------------------------------------------------------------------


def test_info_of_what_is_not_prepared(capsys, tmp_path):
  out = _works(capsys, 'info', '3-EEIKm', '--data_dir', tmp_path)
  assert 'cmnist/3-EElKm (CMNIST-3-EElKm)' in out
  assert '244,800 train, 40,800 test' in out
  assert f'no: cmnist build 3-EElKm --data_dir {tmp_path}' in out
  assert 'CC-BY-SA-4.0' in out and '@' not in out
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
  assert 'verification: E unverified' in out


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


# The program -----------------------------------------------------------------


def test_help_lists_every_command(capsys):
  listed = re.findall('^    ([a-z-]+)', _works(capsys, '--help'), re.M)
  assert ' '.join(listed) == (
    'list info build show verify mirror cache export evaluate compare baseline'
    ' run report audit catalog croissant publish tfds-pr source'
  )


@pytest.mark.parametrize(
  ('line', 'status', 'error'),
  [
    ('list --max-classes 3', 1, 'no subset is like that; drop a condition'),
    ('list --without F,q', 2, "There is no source 'Q'. The keys are E, Ed"),
    ('list --with Kd,f --without F', 2, 'F is in --with and in --without'),
    ('buld', 2, 'Did you mean build instead of buld'),
    ('eval X-12', 2, 'Did you mean evaluate instead of eval'),
    ('hlep list', 2, 'Did you mean help instead of hlep'),
    ('--quite list', 2, 'Did you mean --quiet instead of --quite'),
    (
      'info X-12 --smaple --formt json',
      2,
      'json. Did you mean --sample instead of --smaple? Did you mean --format',
    ),
    ('source lst', 2, 'Did you mean list instead of lst'),
    ('export X-12 -o x --format ng', 2, 'Did you mean png instead of ng'),
    ('build X-12 --smaple', 2, 'mean --sample instead of --smaple'),
    ('build X-12 --data-dri=x', 2, 'mean --data_dir instead of --data_dri'),
    ('show X-12 --ouput x.png', 2, 'mean --output instead of --ouput'),
    ('verify --sample', 2, ''),
    ('frobnicate', 2, ''),
    ('mirror', 2, 'name one folder'),
    ('tfds-pr', 2, 'name one folder'),
    ('tfds-pr -o a b', 2, 'name one folder'),
    ('build X-12 --jobs=two', 2, "whole number of at least 1, found 'two'\n"),
    ('build X-12 --jobs=0', 2, "whole number of at least 1, found '0'\n"),
    ('build X-12 --jobs=-1', 2, "whole number of at least 1, found '-1'\n"),
    ('build X-12 --jobs=1.5', 2, "whole number of at least 1, found '1.5'\n"),
    ('build X-12 --jobs=', 2, "whole number of at least 1, found ''\n"),
  ],
)
def test_a_fault_says_what_is_meant(capsys, line, status, error):
  found, out, err = run(capsys, *line.split())
  assert (found, out) == (status, '')
  assert error in err and ('Did you mean' in err) == ('mean' in error)


def test_quiet_and_verbose(capsys, tmp_path):
  where = ('--sample', '--data_dir', tmp_path)
  assert _works(capsys, '-q', 'build', 'X-12', *where) == ''
  assert _works(capsys, 'show', 'X-12', *where, '-qo', tmp_path / 'x.svg') == ''
  # What is asked for is printed.
  assert 'X-12' in _works(capsys, 'info', 'X-12', *where, '--quiet')
  status, out, err = run(capsys, '-q', 'build', '2-FMn', *where)
  assert (status, out) == (1, '') and err.startswith('cmnist: 2-FMn')
  _, out, err = run(capsys, 'build', '2-FMn', *where, '--format', 'json')
  assert json.loads(out)[0]['error'] in err
  status, _, err = run(capsys, 'build', '2-FKd', *where, '--overwrite', '-v')
  assert status == 0 and 'cmnist: info: Read fashion_mnist/train-images' in err
  done = running.python('-m', 'cmnist_tfds', '--verbose', 'info', '2-FF')
  assert done.returncode == 2 and 'Traceback' in done.stderr


def test_completion(tmp_path):
  pytest.importorskip('argcomplete')

  def completed(line):
    env = {'_ARGCOMPLETE': '1', '_ARGCOMPLETE_IFS': '\n', 'COMP_LINE': line}
    env |= {'COMP_POINT': str(len(line)), '_ARGCOMPLETE_SHELL': 'bash'}
    env['_ARGCOMPLETE_STDOUT_FILENAME'] = str(tmp_path / 'out')
    running.works('-m', 'cmnist_tfds', **env)
    return (tmp_path / 'out').read_text().split()

  assert completed('cmnist bu') == ['build']
  assert completed('cmnist build --data') == ['--data_dir']
  assert '2-FKd-r-10' in completed('cmnist build 2-FKd')
  assert completed('cmnist export X-12 --format i') == ['idx']


@pytest.mark.parametrize(
  'argv', ['list', 'info X-12 --data_dir none', 'cache', 'build --help']
)
def test_commands_that_need_no_slow_package_import_none(argv):
  done = running.python(_PROGRAMS / 'imports_of_command.py', *argv.split())
  assert done.returncode == 0
  slow = {'tensorflow', 'tensorflow_datasets', 'requests', 'PIL', 'jinja2'}
  assert not (slow | {'matplotlib'}) & set(done.stderr.split())


def test_output_has_one_name_in_help(capsys):
  for command in ('show', 'evaluate', 'audit', 'catalog', 'croissant'):
    _, out, _ = run(capsys, command, '--help')
    assert '-o' in out and '--output' in out
    assert not re.search('--(confusion|pairs)', out)
    assert 'tsv' not in out
