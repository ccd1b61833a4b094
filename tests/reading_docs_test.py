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


"""Every snippet of docs/reading.md runs as a user copies it."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_SECTIONS = re.split(
  '^## ', (_REPOSITORY / 'docs/reading.md').read_text('utf-8'), flags=re.M
)
_SNIPPETS = [
  pytest.param(language, code, id=f'{section.splitlines()[0]}-{number}')
  for section in _SECTIONS
  for number, (language, code) in enumerate(
    re.findall('^```([a-z]+)\n(.*?)^```$', section, re.M | re.S)
  )
]
_FRAMEWORKS = ('grain', 'jax', 'keras', 'matplotlib', 'pandas', 'torch')


def needs(code):
  """The frameworks a snippet imports, or TFDS imports for it."""
  named = set(re.findall(r'^(?:from|import) ([a-z]+)', code, re.M))
  if 'as_dataframe' in code:
    named |= {'pandas', 'matplotlib', 'jinja2'}
  return named & {*_FRAMEWORKS, 'jinja2'}


@pytest.mark.parametrize(('language', 'code'), _SNIPPETS)
def test_snippet_runs(language, code, tmp_path):
  for framework in sorted(needs(code)):
    if importlib.util.find_spec(framework) is None:
      pytest.skip(f'{framework} is not installed')
  if language == 'sh':
    code = code.replace('cmnist ', f'{sys.executable} -m cmnist_tfds ')
    command = ['sh', '-e', '-c', code]
  else:
    command = [sys.executable, '-c', code]
  done = subprocess.run(
    command,
    cwd=tmp_path,
    env={
      **os.environ,
      'PYTHONPATH': str(_REPOSITORY),
      'TFDS_DATA_DIR': str(tmp_path / 'data'),
      'MPLBACKEND': 'agg',
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


def test_no_framework_is_forgotten():
  imported = {name for p in _SNIPPETS for name in needs(p.values[1])}
  assert imported == {*_FRAMEWORKS, 'jinja2'}
