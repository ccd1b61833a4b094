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

import pathlib
import re

import pytest
import running

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


@pytest.mark.parametrize(('language', 'code'), _SNIPPETS)
def test_snippet_runs(language, code, tmp_path):
  running.run(language, code, tmp_path)


def test_no_framework_is_forgotten():
  imported = {name for p in _SNIPPETS for name in running.needs(*p.values)}
  assert imported == {*running.FRAMEWORKS, 'jinja2'}
