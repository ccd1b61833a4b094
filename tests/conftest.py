# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What several tests share."""

from __future__ import annotations

import collections

import pytest

_TRIED = pytest.StashKey[collections.Counter]()


def pytest_configure(config):
  config.stash[_TRIED] = collections.Counter()


@pytest.fixture
def faults_tried(request):
  """Counts a fault that was tried, and how it ended."""

  def count(fault: str, outcome: str) -> None:
    assert fault and outcome in ('named', 'survived')
    request.config.stash[_TRIED][outcome] += 1

  return count


def pytest_terminal_summary(terminalreporter, config):
  tried = config.stash[_TRIED]
  if tried:
    terminalreporter.write_line(
      f'faults of hosts tried: {tried.total()}; survived:'
      f' {tried["survived"]}; named in one clear error: {tried["named"]}'
    )
