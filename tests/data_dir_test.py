# SPDX-License-Identifier: Apache-2.0
"""A data folder is the same place on disk wherever it is named."""

from __future__ import annotations

import os
import pathlib
import pickle
import pwd
import tempfile

import fsspec
import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils.epath import gpath

import cmnist_tfds
from cmnist_tfds import build, cli, subsets
from cmnist_tfds.cache import prepared
from cmnist_tfds.datasets.get_builder import get_builder
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError

_SUBSET = subsets.subset('X-12')
_INSIDE = 'cmnist_sample/X-12/1.0.0/dataset_info.json'


def _load(data_dir):
  return tfds.load('cmnist_sample/X-12', split='train[:3]', data_dir=data_dir)


def _build_by_tfds(data_dir):
  _load(data_dir)


def _build_by_load_data(data_dir):
  cmnist_tfds.load_data('X-12', data_dir=data_dir, sample=True)


def _build_by_command(data_dir):
  option = [] if data_dir is None else ['--data_dir', os.fspath(data_dir)]
  assert cli.main(['build', 'X-12', '--sample', *option]) == 0


_DOORS = [_build_by_tfds, _build_by_load_data, _build_by_command]


@pytest.fixture(params=_DOORS, ids=lambda door: door.__name__.strip('_'))
def build_by(request):
  return request.param


def _assert_there(folder, data_dir, capsys):
  """Asserts that all doors find the dataset in a folder, and only there."""
  assert (folder / _INSIDE).is_file()
  # The second time, nothing is built.
  made = os.stat(folder / _INSIDE).st_ino
  images = [
    example['image'][..., 0] for example in tfds.as_numpy(_load(data_dir))
  ]
  (x, _), _ = cmnist_tfds.load_data('X-12', data_dir=data_dir, sample=True)
  np.testing.assert_array_equal(images, x[:3])
  builder = get_builder(_SUBSET, data_dir=data_dir, sample=True)
  assert builder.is_prepared()
  builder.download_and_prepare()
  assert os.path.samefile(builder.data_dir_root, folder)
  capsys.readouterr()
  option = [] if data_dir is None else ['--data_dir', os.fspath(data_dir)]
  assert cli.main(['info', 'X-12', '--sample', *option]) == 0
  where = prepared.dataset_dir(_SUBSET, data_dir=data_dir, sample=True)
  assert f'prepared  {where}\n' in capsys.readouterr().out
  assert where.samefile((folder / _INSIDE).parent)
  assert os.stat(folder / _INSIDE).st_ino == made


_NAMES = [
  *('[1]', 'a[!b]', '*', '?', 'a*b?c', '**', '{a,b}', '{SPLIT}', '(x)', '<x>'),
  *('a b', ' a', 'a ', 'tab\there', 'line\nend', '#1', '%', '%s', '%20', 'a%d'),
  *(
    '&',
    ';',
    '|',
    '!',
    "it's",
    'a"b',
    '`x`',
    'a\\b',
    '\\',
    '=',
    '+',
    ',',
    '@5',
  ),
  *(
    'a@2',
    '-x',
    '--all',
    'a:b',
    'a;b',
    '^',
    '~',
    'a~',
    '$',
    '$5',
    'a$',
    '$no_such',
  ),
  *(
    'naïve',
    'データ',
    '😀',
    'e\u0301',
    '\u202e',
    '.hidden',
    '..x',
    'a.',
    'a..',
  ),
  *('x-00000-of-00001', 'incomplete.AB_1.0.0', '1.0.0', 'cmnist', 'x' * 255),
]


@pytest.mark.parametrize('name', _NAMES, ids=lambda name: ascii(name[:30]))
def test_surrounding_name_of_folder(tmp_path, name, capsys):
  folder = tmp_path / name
  _build_by_tfds(folder)
  assert list(tmp_path.iterdir()) == [folder]
  _assert_there(folder, folder, capsys)


@pytest.mark.parametrize(
  ('data_dir', 'place'),
  [
    ('data', 'work/data'),
    ('./data', 'work/data'),
    ('data/', 'work/data'),
    ('data//', 'work/data'),
    ('data/.', 'work/data'),
    ('a//b', 'work/a/b'),
    ('.', 'work'),
    ('..', '.'),
    ('../data', 'data'),
    ('~', 'home'),
    ('~/data', 'home/data'),
    ('~/', 'home'),
    ('~//data', 'home/data'),
    ('./~/data', 'work/~/data'),
    ('$HOME/data', 'home/data'),
    ('${HOME}/data', 'home/data'),
    ('$CMNIST_TEST_DIR', 'other'),
    ('$CMNIST_TEST_DIR/a', 'other/a'),
    ('$CMNIST_TEST_TILDE/a', 'home/b/a'),
    ('x$CMNIST_TEST_WORD.y', 'work/xword.y'),
    ('$CMNIST_TEST_UNSET/a', 'work/$CMNIST_TEST_UNSET/a'),
    ('link', 'target'),
    ('link/data', 'target/data'),
    ('link/../data', 'data'),
  ],
)
@pytest.mark.parametrize(
  'in_variable', [False, True], ids=['given', 'variable']
)
def test_surrounding_way_to_write_a_folder(
  tmp_path, monkeypatch, data_dir, place, in_variable, capsys
):
  for folder in ('work', 'home', 'target'):
    (tmp_path / folder).mkdir()
  (tmp_path / 'work/link').symlink_to(tmp_path / 'target')
  monkeypatch.chdir(tmp_path / 'work')
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  monkeypatch.setenv('CMNIST_TEST_DIR', str(tmp_path / 'other'))
  monkeypatch.setenv('CMNIST_TEST_TILDE', '~/b')
  monkeypatch.setenv('CMNIST_TEST_WORD', 'word')
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  if in_variable:
    monkeypatch.setenv('TFDS_DATA_DIR', data_dir)
    data_dir = None
  # Each way is built by one door and read by all.
  _DOORS[(len(place) + in_variable) % len(_DOORS)](data_dir)
  assert [
    p.relative_to(tmp_path) for p in tmp_path.rglob('dataset_info.json')
  ] == [pathlib.Path(place, _INSIDE)]
  _assert_there(tmp_path / place, data_dir, capsys)


@pytest.mark.parametrize('data_dir', [None, ''], ids=repr)
@pytest.mark.parametrize('variable', [None, ''], ids=repr)
def test_surrounding_default_folder(
  tmp_path, monkeypatch, data_dir, variable, build_by, capsys
):
  monkeypatch.setenv('HOME', str(tmp_path))
  if variable is None:
    monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  else:
    monkeypatch.setenv('TFDS_DATA_DIR', variable)
  build_by(data_dir)
  _assert_there(tmp_path / 'tensorflow_datasets', data_dir, capsys)


def test_surrounding_home_of_a_named_user(tmp_path, monkeypatch):
  user = pwd.getpwuid(os.getuid())
  monkeypatch.setenv('HOME', str(tmp_path))
  where = pathlib.Path(user.pw_dir, 'x/cmnist/X-12/1.0.0')
  data_dir = f'~{user.pw_name}/x'
  assert prepared.dataset_dir(_SUBSET, data_dir=data_dir) == where
  assert get_builder(_SUBSET, data_dir=data_dir).data_path == where


@pytest.mark.parametrize('kind', ['bytes', 'Path', 'PathLike'])
def test_surrounding_type_of_path(tmp_path, kind):
  class Like:
    def __fspath__(self):
      return str(tmp_path)

  data_dir = {
    'bytes': os.fsencode(tmp_path),
    'Path': tmp_path,
    'PathLike': Like(),
  }[kind]
  get_builder(_SUBSET, data_dir=data_dir, sample=True).download_and_prepare()
  assert (tmp_path / _INSIDE).is_file()


def test_surrounding_long_path(tmp_path, capsys):
  folder = tmp_path
  while len(os.fspath(folder)) < 3500:
    folder /= 'x' * 99
  _build_by_tfds(folder)
  _assert_there(folder, folder, capsys)
  get_builder(_SUBSET, data_dir=folder, sample=True).download_and_prepare(
    download_config=tfds.download.DownloadConfig(
      download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    )
  )
  _assert_there(folder, folder, capsys)


@pytest.mark.parametrize('links', [1, 2, 20])
def test_surrounding_links_to_links(tmp_path, links, capsys):
  target = tmp_path / 'target'
  target.mkdir()
  for number in range(links):
    link = tmp_path / f'link{number}'
    link.symlink_to(target)
    target = link
  _build_by_tfds(link)
  _assert_there(tmp_path / 'target', link, capsys)


def test_surrounding_overwriting_in_a_folder_with_brackets(tmp_path, capsys):
  folder = tmp_path / '[1]'
  _build_by_command(folder)
  made = os.stat(folder / _INSIDE).st_ino
  option = ['--data_dir', str(folder), '--overwrite']
  assert cli.main(['build', 'X-12', '--sample', *option]) == 0
  assert os.stat(folder / _INSIDE).st_ino != made
  _assert_there(folder, folder, capsys)


def test_surrounding_folder_that_matches_others(tmp_path):
  other = tmp_path / 'ab/downloads/cmnist/x.tmp.1'
  other.mkdir(parents=True)
  _build_by_tfds(tmp_path / '*')
  assert other.exists()


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
def test_surrounding_data_source_in_a_folder_with_brackets(
  tmp_path, file_format
):
  builder = get_builder(_SUBSET, data_dir=tmp_path / '[1]*', sample=True)
  builder.download_and_prepare(file_format=file_format)
  again = get_builder(_SUBSET, data_dir=tmp_path / '[1]*', sample=True)
  if file_format == 'array_record':
    first = again.as_data_source('train')[0]
  else:
    first = next(iter(tfds.as_numpy(again.as_dataset(split='train'))))
  assert first['image'].shape == (28, 28, 1)


def test_surrounding_version_is_named(tmp_path):
  _build_by_tfds(tmp_path / '[1]')
  loaded = tfds.load(
    'cmnist_sample/X-12:1.0.0', split='train', data_dir=tmp_path / '[1]'
  )
  assert len(loaded)


def test_surrounding_builder_pickled_elsewhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  data = pickle.dumps(get_builder(_SUBSET, data_dir='data', sample=True))
  (tmp_path / 'other').mkdir()
  monkeypatch.chdir(tmp_path / 'other')
  assert pickle.loads(data).data_dir_root == tmp_path / 'data'


def test_surrounding_folder_that_tfds_was_told_of(tmp_path, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'default'))
  _build_by_tfds(tmp_path / 'told')
  tfds.core.add_data_dir(tmp_path / 'told')
  try:
    _load(None)
    _build_by_load_data(None)
  finally:
    tfds.core.utils.file_utils.clear_registered_data_dirs()
  assert not (tmp_path / 'default').exists()


# What cannot be a data folder ------------------------------------------------

_REMOTE = (
  'gs://bucket/data',
  's3://bucket',
  'hdfs://host/data',
  'file:///tmp/data',
  'http://host/data',
  'az://a/b',
  'hf://datasets/a',
  'abfss://a@b/c',
  'gs:/b',
  'dbfs:/data',
)
_REFUSED = {
  'long name': ('x' * 256, 'too long'),
  'long path': ('x/' * 3000, 'too long'),
  'no room for files': ('x' * 200 + '/' + 'y' * 200, None),
  'zero byte': ('a\0b', 'null'),
  'circle of links': ('circle', 'symbolic links'),
  'unknown user': ('~no_such_user_of_cmnist/x', 'no such user'),
  'file': ('file', 'File exists|Not a directory'),
  'below a file': ('file/x', 'Not a directory'),
  'broken link': ('broken', 'File exists'),
}


@pytest.mark.parametrize('data_dir', _REMOTE)
@pytest.mark.parametrize(
  'in_variable', [False, True], ids=['given', 'variable']
)
def test_surrounding_remote_address(
  tmp_path, monkeypatch, capsys, data_dir, in_variable
):
  monkeypatch.chdir(tmp_path)
  option = ['--data_dir', data_dir]
  if in_variable:
    monkeypatch.setenv('TFDS_DATA_DIR', data_dir)
    data_dir, option = None, []
  with pytest.raises(PreparationError, match='is not a local folder'):
    _build_by_load_data(data_dir)
  for sample in ([], ['--sample']):
    assert cli.main(['build', 'X-12', *sample, *option]) == 1
    assert cli.main(['info', 'X-12', *sample, *option]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    for line in said:
      assert 'build in one, then copy' in line
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('data_dir', ['hdfs://a/b', 'file:///tmp/x', 'x-y://a'])
def test_surrounding_address_that_tfds_cannot_read(data_dir):
  with pytest.raises(PreparationError, match=r'cannot read.*then copy'):
    get_builder(_SUBSET, data_dir=data_dir, sample=True)


@pytest.fixture
def bucket(monkeypatch):
  """gs:// as files in memory."""
  monkeypatch.setattr(gpath, '_is_tf_installed', lambda: False)
  known = fsspec.registry.get('gcs')
  fsspec.register_implementation(
    'gcs', fsspec.get_filesystem_class('memory'), clobber=True
  )
  yield fsspec.filesystem('gcs')
  if known is not None:
    fsspec.register_implementation('gcs', known, clobber=True)


def test_surrounding_copy_at_a_remote_address_is_read(bucket, sample_dir):
  info = pathlib.Path('cmnist_sample/X-12/1.0.0')
  for file in (sample_dir / info).iterdir():
    bucket.pipe(f'gs://bucket/data/{info}/{file.name}', file.read_bytes())
  builder = tfds.builder('cmnist_sample/X-12', data_dir='gs://bucket/data')
  builder.download_and_prepare()
  local = tfds.builder('cmnist_sample/X-12', data_dir=sample_dir)
  assert dict(builder.info.splits).keys() == {'train', 'test'}
  assert (
    builder.info.splits['train'].num_examples
    == local.info.splits['train'].num_examples
  )
  assert os.fspath(builder.info.splits['train'].filepaths[0]).startswith(
    f'gs://bucket/data/{info}/'
  )
  fresh = tfds.builder('cmnist_sample/X-24', data_dir='gs://bucket/data')
  with pytest.raises(PreparationError, match='build in one, then copy'):
    fresh.download_and_prepare()


@pytest.mark.parametrize('case', _REFUSED)
def test_surrounding_refused_folder(tmp_path, monkeypatch, capsys, case):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'file').touch()
  (tmp_path / 'circle').symlink_to('circle')
  (tmp_path / 'broken').symlink_to('nowhere')
  name, reason = _REFUSED[case]
  if reason is None:
    monkeypatch.setattr(paths, '_ROOM', ('x' * 999,) * 4)
    (tmp_path / name).mkdir(parents=True)
    reason = 'too long'
  with pytest.raises(PreparationError, match=reason):
    get_builder(_SUBSET, data_dir=name, sample=True).download_and_prepare()
  with pytest.raises(PreparationError, match=reason):
    _build_by_load_data(name)
  assert cli.main(['build', 'X-12', '--sample', '--data_dir', name]) == 1
  assert len(capsys.readouterr().err.splitlines()) == 1


def test_surrounding_encoding_without_the_character(tmp_path):
  with pytest.raises(PreparationError, match='surrogates not allowed'):
    get_builder(_SUBSET, data_dir=tmp_path / '\ud800', sample=True)


def test_surrounding_no_current_folder(tmp_path, monkeypatch):
  gone = tmp_path / 'gone'
  gone.mkdir()
  monkeypatch.chdir(gone)
  gone.rmdir()
  try:
    with pytest.raises(PreparationError, match='Give an absolute path'):
      cmnist_tfds.load_data('X-12', data_dir='data', sample=True)
  finally:
    os.chdir(tmp_path)


# Leftovers -------------------------------------------------------------------


def test_surrounding_builds_leave_nothing_in_the_temporary_folder(
  tmp_path, monkeypatch
):
  temporary = tmp_path / 'tmp'
  temporary.mkdir()
  monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
  for door in _DOORS:
    door(tmp_path / door.__name__)
  options = build.Options(
    sample=True, data_dir=str(tmp_path / 'two'), overwrite=True
  )
  for _ in range(2):
    assert not next(build.build([_SUBSET], options)).error
  assert list(temporary.iterdir()) == []
