# SPDX-License-Identifier: Apache-2.0
"""What the tests of promises share."""

from __future__ import annotations

import pathlib

import pytest

from contract.commands import Commands


@pytest.fixture(scope='session')
def shared_cache(tmp_path_factory) -> pathlib.Path:
  """The cache of these tests alone, in which real files may be."""
  return tmp_path_factory.mktemp('contract-cache')


@pytest.fixture(autouse=True)
def _use_shared_cache(shared_cache, monkeypatch):
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(shared_cache))


@pytest.fixture(scope='session')
def cmnist(tmp_path_factory, shared_cache):
  """Runs commands."""
  commands = Commands(tmp_path_factory.mktemp('commands'), shared_cache)
  yield commands
  commands.close()


@pytest.fixture(scope='session')
def data_dir(cmnist, tmp_path_factory) -> pathlib.Path:
  """Data folder with two subsets of the sample. Not to be changed."""
  folder = tmp_path_factory.mktemp('data')
  cmnist.works('build', 'X-12', '2-FKd', '--sample', '--data_dir', folder)
  return folder


@pytest.fixture(scope='session')
def sample(data_dir) -> list[object]:
  """Options that read from that folder."""
  return ['--sample', '--data_dir', data_dir]
