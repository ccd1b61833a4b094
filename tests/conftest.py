# SPDX-License-Identifier: Apache-2.0
"""What several tests need: real origin files, and a count of faults tried."""

from __future__ import annotations

import collections
import os
import pathlib

import preparing
import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def pytest_terminal_summary(terminalreporter):
  outcomes = collections.Counter(
    value
    for report in terminalreporter.getreports('passed')
    for name, value in report.user_properties
    if name == 'fault of a host'
  )
  if outcomes:
    terminalreporter.write_line(
      f'faults of hosts tried: {outcomes.total()}; survived:'
      f' {outcomes["survived"]}; named in one clear error:'
      f' {outcomes["named"]}'
    )
  surroundings = sum(
    name == 'surroundings'
    for report in terminalreporter.getreports('passed')
    for name, _ in report.user_properties
  )
  if surroundings:
    terminalreporter.write_line(f'surroundings survived: {surroundings}')


@pytest.fixture(scope='session', autouse=True)
def _cache_dir(tmp_path_factory):
  """Keeps the user's cache out of the tests, and the tests out of it."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('CMNIST_CACHE_DIR', str(tmp_path_factory.mktemp('cache')))
    yield


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
