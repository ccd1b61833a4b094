# SPDX-License-Identifier: Apache-2.0
"""A file that this package did not write is never replaced or removed."""

from __future__ import annotations

import shutil

import pytest

from contract.datasets import Toy, tree

# Commands that write a folder, and a file that each would write.
_WRITERS = {
  'export': (['export', '2-FKd', '--format', 'idx'], 'train-labels-idx1-ubyte'),
  'croissant': (['croissant', '2-FKd'], 'croissant.json'),
  'publish': (['publish', '2-FKd'], 'README.md'),
  'catalog': (['catalog'], 'index.html'),
  'tfds-pr': (['tfds-pr'], 'tensorflow_datasets/datasets/cmnist/TAGS.txt'),
}


@pytest.fixture(scope='module')
def written(cmnist, sample, tmp_path_factory):
  """Runs a writer on a folder, and returns what each has written."""
  for library in ('jinja2', 'mlcroissant', 'PIL'):
    pytest.importorskip(library)

  def write(writer, folder):
    argv, _ = _WRITERS[writer]
    target = [folder] if writer == 'tfds-pr' else [*sample, '-o', folder]
    return cmnist.run(*argv, *target)

  folder = tmp_path_factory.mktemp('written')
  for writer in _WRITERS:
    assert write(writer, folder / writer).status == 0
  return write, folder


def _foreign(folder, ours):
  (folder / 'thesis.tex').write_text('years of work')


def _foreign_in_place(folder, ours):
  (folder / ours).parent.mkdir(parents=True, exist_ok=True)
  (folder / ours).write_text('years of work')


def _link_to_elsewhere(folder, ours):
  _foreign(folder, ours)
  folder.rename(folder.parent / 'elsewhere')
  folder.symlink_to('elsewhere')


def _file(folder, ours):
  folder.rmdir()
  folder.write_text('years of work')


def _hostile_list(folder, ours):
  """The list of an earlier output, were it called so, leads elsewhere."""
  (folder.parent / 'mine').write_text('years of work')
  for name in ('.cmnist_tfds.json', 'manifest.json', '.cmnist_tfds.files.json'):
    (folder / name).write_text('{"writer": "cmnist", "files": {"../mine": {}}}')


@pytest.mark.parametrize('writer', _WRITERS)
@pytest.mark.parametrize(
  'place',
  [_foreign, _foreign_in_place, _link_to_elsewhere, _file, _hostile_list],
)
def test_a_place_of_someone_else_is_refused(written, tmp_path, writer, place):
  write, _ = written
  folder = tmp_path / 'out'
  folder.mkdir()
  place(folder, _WRITERS[writer][1])
  before = tree(tmp_path)
  done = write(writer, folder)
  assert done.status == 1
  assert 'out' in done.error
  assert tree(tmp_path) == before


@pytest.mark.parametrize('writer', _WRITERS)
def test_an_earlier_output_is_written_anew_and_other_files_stay(
  written, tmp_path, writer
):
  write, folder = written
  shutil.copytree(folder / writer, tmp_path / 'out')
  (tmp_path / 'out/.git').mkdir()
  mine = {'.git/HEAD': b'ref', 'CNAME': b'example.org', 'notes.txt': b'mine'}
  for path, data in mine.items():
    (tmp_path / 'out' / path).write_bytes(data)
  done = write(writer, tmp_path / 'out')
  if done.status:
    # Even an empty checkout may be no target of a command; nothing is lost.
    assert done.error
  found = tree(tmp_path / 'out')
  assert found == {**tree(folder / writer), **mine}


@pytest.mark.parametrize('writer', _WRITERS)
def test_an_edited_output_is_refused(written, tmp_path, writer):
  write, folder = written
  shutil.copytree(folder / writer, tmp_path / 'out')
  with (tmp_path / 'out' / _WRITERS[writer][1]).open('a') as file:
    file.write('years of work')
  before = tree(tmp_path)
  assert (
    _WRITERS[writer][1].rpartition('/')[2]
    in write(writer, tmp_path / 'out').error
  )
  assert tree(tmp_path) == before


@pytest.mark.parametrize('options', [[], ['--overwrite']])
@pytest.mark.parametrize(
  'name', ['thesis.tex', 'cmnist_sample-train.tfrecord-00000-of-00001']
)
def test_a_build_leaves_a_folder_that_is_no_dataset(
  cmnist, tmp_path, name, options
):
  folder = tmp_path / 'cmnist_sample/2-FKd-r-5/1.0.0'
  folder.mkdir(parents=True)
  (folder / name).write_text('years of work')
  before = tree(tmp_path / 'cmnist_sample/2-FKd-r-5')
  where = ('--sample', '--data_dir', tmp_path)
  done = cmnist.run('build', '2-FKd-r-5', *where, *options)
  assert tree(tmp_path / 'cmnist_sample/2-FKd-r-5') == before
  assert done.status == 1
  assert str(folder) in done.error
  cmnist.works('build', '2-FKd', *where, *options)


def test_a_cleared_cache_keeps_files_of_others(cmnist, tmp_path):
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  argv = ['build', '2-FKd-r-5', '--sample', '--data_dir', tmp_path / 'data']
  cmnist.works(*argv, **cache_dir)
  (tmp_path / 'cache/mine').mkdir()
  for path in ('thesis.tex', 'mine/thesis.tex'):
    (tmp_path / 'cache' / path).write_text('years of work')
  cmnist.works('cache', 'clear', **cache_dir)
  for path in ('thesis.tex', 'mine/thesis.tex'):
    assert (tmp_path / 'cache' / path).read_text() == 'years of work'


def test_a_mirror_replaces_no_file(cmnist, tmp_path):
  toy = Toy(tmp_path)
  toy.write()
  place = tmp_path / 'mirror/toy'
  place.mkdir(parents=True)
  mine = {'train-images.gz': b'mine', 'mine.txt': b'mine', 'x.part': b'mine'}
  for name, data in mine.items():
    (place / name).write_bytes(data)
  done = cmnist.run('mirror', tmp_path / 'mirror', '1-Ty', *toy.where)
  assert done.status == 1
  assert 'train-images.gz' in done.err
  assert mine.items() <= tree(place).items()
