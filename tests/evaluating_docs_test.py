# SPDX-License-Identifier: Apache-2.0
"""The snippets of docs/evaluating.md run, one after the other."""

from __future__ import annotations

import pathlib
import re

import running

from cmnist_tfds.evaluate import predictions

_TEXT = (
  pathlib.Path(__file__).resolve().parent.parent / 'docs/evaluating.md'
).read_text('utf-8')


def test_snippets_run(tmp_path):
  snippets = re.findall('^```([a-z]+)\n(.*?)^```$', _TEXT, re.M | re.S)
  assert len(snippets) > 3
  for language, code in snippets:
    running.run(language, code, tmp_path)


def test_the_documented_fields_are_those_of_the_file():
  for field in predictions.ABOUT:
    assert f'`{field}`' in _TEXT
  assert predictions.FORMAT in _TEXT
