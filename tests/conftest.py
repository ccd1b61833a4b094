# SPDX-License-Identifier: Apache-2.0
"""What several tests need: a home, real origin files, a count of faults."""

from __future__ import annotations

import collections
import os
import pathlib
import shutil
import tempfile

import hypothesis
import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# A home of its own for this process and those it starts: tests neither read
# nor write what the user has. It is set here, since TFDS reads it on import.
_HOME = pathlib.Path(tempfile.mkdtemp(prefix='home-of-tests-'))
for _name in list(os.environ):
  if _name.startswith(('CMNIST_', 'TFDS_', 'XDG_', 'KERAS_', 'HF_')):
    if _name != 'CMNIST_ORIGIN_FILES':
      del os.environ[_name]
  elif _name.lower() in {'all_proxy', 'http_proxy', 'https_proxy', 'netrc'}:
    del os.environ[_name]
for _name, _folder in (
  ('HOME', '.'),
  ('XDG_CACHE_HOME', '.cache'),
  ('CMNIST_CACHE_DIR', 'cmnist'),
  ('TMPDIR', 'tmp'),
):
  (_HOME / _folder).mkdir(exist_ok=True)
  os.environ[_name] = str(_HOME / _folder)

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


def pytest_unconfigure():
  shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def empty_cache(tmp_path_factory, monkeypatch) -> pathlib.Path:
  """A cache without the real images that another test may have read."""
  folder = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(folder))
  return folder


@pytest.fixture(scope='session')
def sample_dir(tmp_path_factory) -> pathlib.Path:
  """Data folder with X-12 of the sample, prepared. Not to be changed."""
  import preparing  # it imports TFDS

  folder = tmp_path_factory.mktemp('sample')
  preparing.prepare(folder)
  return folder


@pytest.fixture(scope='session')
def origin_files() -> pathlib.Path:
  """Folder with real origin files, in the layout of a manual folder."""
  folder = pathlib.Path(
    os.environ.get('CMNIST_ORIGIN_FILES') or _REPOSITORY.parent / 'shared/data'
  )
  if not folder.is_dir():
    pytest.skip(
      'local copies of the origin files are not there; CMNIST_ORIGIN_FILES'
      ' names their folder'
    )
  return folder
