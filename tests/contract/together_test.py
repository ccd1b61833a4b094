# SPDX-License-Identifier: Apache-2.0
"""Commands that run at the same time do not disturb each other."""

from __future__ import annotations

import random

import pytest

from contract.datasets import Toy, whole

_NAMES = ('2-FKd', '2-FKd-r-5', '1-F')


@pytest.fixture(scope='module')
def alone(cmnist, tmp_path_factory):
  """What each build gives that nothing disturbs."""
  folder = tmp_path_factory.mktemp('alone')
  cmnist.works('build', *_NAMES, '--sample', '--data_dir', folder)
  return whole(folder)


def test_builds_of_one_subset(cmnist, alone, tmp_path):
  argv = ('build', '2-FKd', '--sample', '--data_dir', tmp_path / 'data')
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  for done in cmnist.together(argv, argv, argv, argv, **cache_dir):
    assert done.status == 0, done.err
  assert whole(tmp_path / 'data') == {'2-FKd': alone['2-FKd']}


@pytest.mark.parametrize(
  'rounds', [4, pytest.param(40, marks=pytest.mark.slow)]
)
def test_commands_of_all_kinds(cmnist, alone, tmp_path, rounds):
  where = ('--sample', '--data_dir', tmp_path / 'data')
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  cmnist.works('build', *_NAMES, *where, **cache_dir)
  choose = random.Random(0)
  kinds = [
    *(('build', name, *where, '--overwrite') for name in _NAMES),
    ('build', *_NAMES, *where),
    ('cache', 'clear'),
    ('cache', 'list'),
    ('info', '2-FKd', *where),
    ('audit', 'F', *where),
    ('export', '2-FKd', *where, '--format', 'npz', '-o', tmp_path / 'npz'),
  ]
  for _ in range(rounds):
    commands = choose.sample(kinds, 4)
    for argv, done in zip(
      commands, cmnist.together(*commands, **cache_dir), strict=True
    ):
      assert done.status == 0, (argv, done.err)
  assert whole(tmp_path / 'data') == alone


def test_builds_and_a_mirror_of_the_same_files(cmnist, tmp_path):
  toy = Toy(tmp_path)
  toy.write()
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  build, mirror = ('build', '1-Ty'), ('mirror', tmp_path / 'mirror', '1-Ty')
  commands = [(*argv, *toy.where) for argv in (build, mirror, build, mirror)]
  for done in cmnist.together(*commands, **cache_dir):
    assert done.status == 0, done.err
  for name, data in toy.files.items():
    assert (tmp_path / 'mirror/toy' / name).read_bytes() == data
