# SPDX-License-Identifier: Apache-2.0
"""No command loses a file of the user's, whatever its target is."""

from __future__ import annotations

import pytest

pytest.importorskip('mlcroissant')
pytest.importorskip('jinja2')

from programs import output_targets


@pytest.fixture(scope='module')
def earlier(tmp_path_factory):
  return output_targets.prepare(tmp_path_factory.mktemp('earlier'))


@pytest.mark.parametrize(
  ('command', 'name', 'target'),
  [
    pytest.param(*case, id=' - '.join(case[:2]))
    for case in output_targets.cases()
  ],
)
def test_the_files_of_the_user_stay(earlier, tmp_path, command, name, target):
  outcome = output_targets.run(command, target, tmp_path, earlier)
  assert outcome.lost == []
  assert outcome.left == []
  assert outcome.done == target.expected, outcome.errors
  # One error in one line.
  assert outcome.errors.count('\n') == (target.expected != 'written')
  assert outcome.errors.startswith('cmnist: ') or not outcome.errors


def test_there_are_enough_targets():
  assert len(output_targets.cases()) >= 80
