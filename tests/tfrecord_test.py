# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import tempfile

import framing
import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.formats import tfrecord
from cmnist_tfds.system import errors

RECORDS = st.lists(st.binary(max_size=200), max_size=8)


def write(path, records):
  path.write_bytes(b''.join(map(framing.frame, records)))


def read(path):
  file = tfrecord.File(path)
  return file.records(np.arange(len(file)))


def by_tensorflow(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)


@given(RECORDS)
def test_files_are_those_of_tensorflow(records):
  with tempfile.TemporaryDirectory() as folder:
    ours, theirs = pathlib.Path(folder, 'ours'), pathlib.Path(folder, 'theirs')
    write(ours, records)
    by_tensorflow(theirs, records)
    assert ours.read_bytes() == theirs.read_bytes()
    assert read(theirs) == records
    read_back = tf.data.TFRecordDataset(str(ours)).as_numpy_iterator()
    assert list(read_back) == records


@given(st.lists(st.binary(max_size=50), min_size=1))
def test_footers_of_many_records_are_those_of_each(records):
  crcs = np.array([google_crc32c.value(r) for r in records], np.uint32)
  together = tfrecord.footers(crcs)
  assert together.dtype == np.uint8
  assert [f.tobytes() for f in together] == [
    framing.frame(record)[-4:] for record in records
  ]


@pytest.fixture
def three_records(tmp_path):
  path = tmp_path / 'some.tfrecord'
  write(path, [b'first', b'second', b'third'])
  return path


# Records begin at bytes 0, 21 and 43.
@pytest.mark.parametrize(
  ('at', 'number', 'why'),
  [
    (0, 0, 'its length fails'),
    (10, 0, 'its length fails'),
    (14, 0, 'it fails'),
    (22, 1, 'its length fails'),
    (34, 1, 'it fails'),
    (42, 1, 'it fails'),
    (63, 2, 'it fails'),
  ],
)
def test_says_which_record_is_damaged(three_records, at, number, why):
  data = bytearray(three_records.read_bytes())
  data[at] ^= 1
  three_records.write_bytes(data)
  with pytest.raises(errors.PreparationError) as caught:
    read(three_records)
  assert f'record {number}, at byte {[0, 21, 43][number]}: {why}' in str(
    caught.value
  )
  assert str(three_records) in str(caught.value)


@pytest.mark.parametrize('size', [1, 11, 12, 15, 20, 22, 42, 44, 63])
def test_says_where_a_file_is_cut(three_records, size):
  data = three_records.read_bytes()
  three_records.write_bytes(data[:size])
  with pytest.raises(errors.PreparationError, match='the file ends'):
    read(three_records)


def test_any_records_can_be_read(three_records):
  file = tfrecord.File(three_records)
  assert len(file) == 3
  assert file.records(np.array([2, 0])) == [b'third', b'first']
  assert file.records(np.arange(0)) == []


def test_damage_elsewhere_is_no_hindrance(three_records):
  data = bytearray(three_records.read_bytes())
  data[-1] ^= 1
  three_records.write_bytes(data)
  file = tfrecord.File(three_records)
  assert file.records(np.arange(2)) == [b'first', b'second']
  with pytest.raises(errors.PreparationError, match='record 2, at byte 43'):
    file.records(np.array([0, 2]))


def test_an_absurd_length_is_no_memory_fault(tmp_path):
  path = tmp_path / 'some.tfrecord'
  path.write_bytes(tfrecord.header(2**62))
  with pytest.raises(errors.PreparationError, match='the file ends'):
    read(path)
