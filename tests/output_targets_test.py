# SPDX-License-Identifier: Apache-2.0
"""No command loses a file of the user's, whatever its target is."""

from __future__ import annotations

import resource

import pytest

pytest.importorskip('mlcroissant')
pytest.importorskip('jinja2')

from programs import output_targets

from cmnist_tfds import cli


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
  errors = outcome.errors.splitlines()
  assert len(errors) == (target.expected != 'written')
  assert outcome.errors.startswith('cmnist: ') or not outcome.errors


def test_there_are_enough_targets():
  assert len(output_targets.cases()) >= 80


@pytest.mark.parametrize(
  ('command', 'name'),
  [
    *((command, 'new folder') for command in output_targets.FOLDERS),
    *((command, 'empty folder') for command in output_targets.FOLDERS),
    ('publish', 'clone of a hub'),
    ('catalog', 'earlier output with other files'),
    ('show x.svg', 'file'),
    ('show x.png', 'new file'),
  ],
)
def test_a_full_disk_is_told_and_nothing_is_left_behind(
  earlier, tmp_path, monkeypatch, command, name
):
  main = cli.main

  def on_full_disk(argv):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
      return main(argv)
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

  monkeypatch.setattr(cli, 'main', on_full_disk)
  targets = {case[:2]: case[2] for case in output_targets.cases()}
  outcome = output_targets.run(
    command, targets[command, name], tmp_path, earlier
  )
  assert outcome.done == output_targets.REFUSED
  assert (outcome.lost, outcome.left) == ([], [])
  output = f'x.{command[-3:]}' if command.startswith('show') else 'out'
  # A warning may tell that the cache cannot be written either.
  *_, error = outcome.errors.splitlines()
  assert error == (
    f'cmnist: Cannot write to {tmp_path / output}: File too large. Free space on'
    ' that disk, or choose another folder.'
  )
