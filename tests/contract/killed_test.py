# SPDX-License-Identifier: Apache-2.0
"""What a killed command leaves is whole, and the next run completes it."""

from __future__ import annotations

import shutil
import signal

import pytest

from contract.datasets import Toy, tree, whole

_MINE = {'CNAME': b'example.org', 'notes/mine.txt': b'years of work'}


def _each_kill(run, growth=1.6):
  """Yields after each kill of a command, at ever later moments of a run."""
  moment, kills = 1, 0
  while status := run(moment):
    assert status == -signal.SIGKILL
    yield
    kills += 1
    moment = int(moment * growth) + 1
  assert kills >= 3


def _is_hidden(path):
  return any(part.startswith('.') for part in path.split('/'))


_GROWTH = [1.6, pytest.param(1.05, marks=pytest.mark.slow)]


@pytest.mark.parametrize('growth', _GROWTH)
@pytest.mark.parametrize(
  ('earlier', 'argv'),
  [
    ([], ['2-FKd']),
    (['2-FKd'], ['2-FKd', '--overwrite']),
    (['2-FKd'], ['2-FKd-r-5', '1-F']),
  ],
  ids=['first', 'overwrite', 'others'],
)
def test_a_killed_build(cmnist, tmp_path, earlier, argv, growth):
  start, place, undisturbed = (tmp_path / n for n in ('start', 'place', 'new'))

  def build(folder, *names, **kwargs):
    cache_dir = {'CMNIST_CACHE_DIR': folder / 'cache'}
    where = ['--sample', '--data_dir', folder / 'data']
    return cmnist.run('build', *names, *where, **cache_dir, **kwargs).status

  start.mkdir()
  if earlier:
    assert build(start, *earlier) == 0
    shutil.rmtree(start / 'cache')
  old = whole(start / 'data')
  shutil.copytree(start, undisturbed)
  assert build(undisturbed, *argv) == 0
  new = whole(undisturbed / 'data')

  def run(moment):
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(start, place)
    return build(place, *argv, kill_at=moment, within=place)

  for _ in _each_kill(run, growth):
    found = whole(place / 'data')
    if not old.keys() <= found.keys():
      # The old dataset is renamed before the new one is. After a kill between
      # the two, the next run puts it back.
      assert build(place, *earlier) == 0
      found = whole(place / 'data')
      assert found == old
    for name, files in found.items():
      assert files in (old.get(name), new[name])
    assert build(place, *argv) == 0
    assert whole(place / 'data') == new


def test_a_cache_killed_while_it_is_cleared(cmnist, tmp_path):
  start, place = tmp_path / 'start', tmp_path / 'place'

  def run(folder, *argv, **kwargs):
    return cmnist.run(*argv, CMNIST_CACHE_DIR=folder, **kwargs).status

  def build(folder):
    argv = ['build', '2-FKd-r-5', '--sample', '--overwrite', '--data_dir']
    assert run(folder, *argv, tmp_path / 'data') == 0
    return whole(tmp_path / 'data')

  expected = build(start)

  def clear(moment):
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(start, place)
    return run(place, 'cache', 'clear', kill_at=moment, within=place)

  for _ in _each_kill(clear):
    assert build(place) == expected


@pytest.mark.parametrize('growth', _GROWTH)
@pytest.mark.parametrize('again', [False, True], ids=['clone', 'again'])
@pytest.mark.parametrize(
  'argv',
  [
    ['export', '--format', 'idx'],
    ['croissant'],
    pytest.param(['publish'], marks=pytest.mark.slow),
  ],
  ids=lambda argv: argv[0],
)
def test_a_killed_writer_loses_nothing(
  cmnist, data_dir, sample, tmp_path, argv, again, growth
):
  if argv[0] != 'export':
    pytest.importorskip('mlcroissant')
  start, place = tmp_path / 'start', tmp_path / 'place'
  command = [argv[0], '2-FKd', *argv[1:], *sample, '-o']
  if again:
    other = [argv[0], '2-FKd' if argv[0] == 'export' else 'X-12', *argv[1:]]
    cmnist.works(*other, *sample, '-o', start)
  mine = _MINE if again else {'.git/HEAD': b'ref'}
  for path, data in mine.items():
    (start / path).parent.mkdir(parents=True, exist_ok=True)
    (start / path).write_bytes(data)
  shutil.copytree(start, place)
  if cmnist.run(*command, place).status:
    # Clones are no target of every command.
    assert tree(place) == tree(start)
    return
  old, new = tree(start), tree(place)

  def run(moment):
    shutil.rmtree(place)
    shutil.copytree(start, place)
    return cmnist.run(*command, place, kill_at=moment, within=place).status

  for _ in _each_kill(run, growth):
    found = tree(place)
    assert mine.items() <= found.items()
    for path, data in found.items():
      if not _is_hidden(path):
        assert data in (old.get(path), new.get(path))
    cmnist.works(*command, place)
    assert tree(place) == new


def test_a_killed_mirror_is_filled_by_the_next_run(cmnist, tmp_path):
  toy = Toy(tmp_path)
  toy.write()
  place = tmp_path / 'mirror'
  argv = ['mirror', place, '1-Ty', *toy.where]

  def run(moment):
    shutil.rmtree(place, ignore_errors=True)
    (place / 'toy').mkdir(parents=True)
    (place / 'toy/mine').write_bytes(b'mine')
    return cmnist.run(*argv, kill_at=moment, within=place).status

  expected = {f'toy/{n}': data for n, data in toy.files.items()}
  expected['toy/mine'] = b'mine'
  for _ in _each_kill(run):
    for whole_run in (False, True):
      if whole_run:
        cmnist.works(*argv)
      found = {
        path: data for path, data in tree(place).items() if not _is_hidden(path)
      }
      assert found.items() <= expected.items()
    assert found == expected


def test_a_killed_picture_is_the_old_one_or_the_new(cmnist, sample, tmp_path):
  pytest.importorskip('PIL')
  path = tmp_path / 'x.svg'
  argv = ['show', '2-FKd', *sample, '-o', path]
  cmnist.works(*argv, '--histogram')
  new = path.read_bytes()
  cmnist.works(*argv)
  old = path.read_bytes()
  assert new != old

  def run(moment):
    path.write_bytes(old)
    return cmnist.run(
      *(*argv, '--histogram'), kill_at=moment, within=tmp_path
    ).status

  moment = 1
  while run(moment):
    assert path.read_bytes() in (old, new)
    moment += 1
  assert path.read_bytes() == new
  assert moment > 1
