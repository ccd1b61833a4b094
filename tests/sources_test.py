# SPDX-License-Identifier: Apache-2.0
"""The facts about the sources are consistent and match real files."""

import copy
import pickle

import pytest

from cmnist_tfds.sources import SOURCES, source


def _files():
  for record in SOURCES:
    for file in record.origin_files:
      yield from (file, *file.equivalents, *filter(None, [file.archive]))


def test_sources_have_the_order_of_the_paper_and_are_found_by_their_keys():
  keys = ['E', 'Ed', 'El', 'Eb', 'Em', 'Ec', 'F', 'Kd', 'Km', 'K49', 'N']
  assert [source(key) for key in keys] == list(SOURCES)
  with pytest.raises(KeyError, match='Q'):
    source('Q')


def test_a_pickle_gives_the_one_record():
  for record in SOURCES:
    assert pickle.loads(pickle.dumps(record)) is record
    assert copy.deepcopy(record) is record


def test_every_file_can_be_fetched_and_proved():
  for file in _files():
    assert len(file.md5) == 32
    assert file.sha256 is None or len(file.sha256) == 64
    assert file.sha256 or file.size or file.git_blob
    assert file.urls
    assert not file.archive or file.member.endswith(f'/{file.name}')
    folder, _, name = file.path.partition('/')
    assert folder and name and '/' not in name
