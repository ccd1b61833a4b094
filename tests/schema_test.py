# SPDX-License-Identifier: Apache-2.0
"""One edit of the schema adds a feature everywhere."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

from cmnist_tfds.system import resources

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PROGRAM = pathlib.Path(__file__).parent / 'programs/use_added_feature.py'

_ADDED = """\
INTEGERS = (
  ClassFeature(
    name='parity',
    description='whether the label is even or odd',
    of_class=lambda c: c.label % 2,
    names=lambda subset: ['even', 'odd'],
  ),
"""


def test_a_further_feature_is_one_entry(tmp_path):
  package = tmp_path / 'cmnist_tfds'
  shutil.copytree(_REPOSITORY / 'cmnist_tfds', package)
  for name in ('checksums', 'dummy_data'):
    shutil.copytree(resources.folder(name), package / name)
  schema = package / 'schema.py'
  code = schema.read_text('utf-8')
  assert code.count('INTEGERS = (\n') == 1
  schema.write_text(code.replace('INTEGERS = (\n', _ADDED), 'utf-8')
  done = subprocess.run(
    [sys.executable, str(_PROGRAM), str(tmp_path / 'data')],
    cwd=tmp_path,
    env={
      'PYTHONPATH': str(tmp_path),
      'PATH': '',
      'HOME': str(tmp_path),
      'TF_CPP_MIN_LOG_LEVEL': '2',
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
