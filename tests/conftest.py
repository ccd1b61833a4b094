# SPDX-License-Identifier: Apache-2.0
"""What several tests need: real origin files, and a count of faults tried."""

from __future__ import annotations

import collections
import os
import pathlib
import tempfile

import hypothesis
import preparing
import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# A busy machine is no fault.
hypothesis.settings.register_profile('no deadline', deadline=None)
hypothesis.settings.load_profile('no deadline')

# What tests count: how it is called in the summary.
_COUNTED = {
  'fault of a host': 'faults of hosts',
  'kill': 'kills',
  'packing': 'packings of files',
  'simultaneous run': 'simultaneous runs',
  'surroundings': 'surroundings',
}


def pytest_terminal_summary(terminalreporter):
  counted: dict[str, collections.Counter[str]] = {}
  for report in terminalreporter.getreports('passed'):
    for name, outcome in report.user_properties:
      if name in _COUNTED:
        counted.setdefault(name, collections.Counter())[outcome] += 1
    if '::test_surrounding_' in report.nodeid:
      counted.setdefault('surroundings', collections.Counter())['survived'] += 1
  for name, outcomes in counted.items():
    found = ', '.join(f'{o}: {n}' for o, n in sorted(outcomes.items()))
    terminalreporter.write_line(
      f'{_COUNTED[name]} tried: {outcomes.total()} ({found})'
    )


@pytest.fixture(scope='session', autouse=True)
def _cache_dir(tmp_path_factory):
  """Keeps the user's cache out of the tests, and the tests out of it."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('CMNIST_CACHE_DIR', str(tmp_path_factory.mktemp('cache')))
    # A cache that cannot be written is there instead.
    patch.setenv('TMPDIR', str(tmp_path_factory.mktemp('temp')))
    yield


@pytest.fixture(autouse=True)
def _temporary_cache_dir(tmp_path_factory, monkeypatch):
  """Gives each test a cache of its own in place of one it cannot write."""
  folder = str(tmp_path_factory.mktemp('temp'))
  monkeypatch.setenv('TMPDIR', folder)
  monkeypatch.setattr(tempfile, 'tempdir', folder)


@pytest.fixture
def empty_cache(tmp_path_factory, monkeypatch) -> pathlib.Path:
  """A cache without the real images that another test may have read."""
  folder = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(folder))
  return folder


@pytest.fixture(scope='session')
def sample_dir(tmp_path_factory) -> pathlib.Path:
  """Data folder with X-12 of the sample, prepared. Not to be changed."""
  folder = tmp_path_factory.mktemp('sample')
  preparing.prepare(folder)
  return folder


@pytest.fixture(scope='session')
def origin_files() -> pathlib.Path:
  """Folder with real origin files, in the layout of a manual folder."""
  folder = pathlib.Path(
    os.environ.get('CMNIST_ORIGIN_FILES', _REPOSITORY.parent / 'shared/data')
  )
  if not folder.is_dir():
    pytest.skip(
      'local copies of the origin files are not there; CMNIST_ORIGIN_FILES'
      ' names their folder'
    )
  return folder
