# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import google_crc32c
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.formats import crc32c


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_checksum_of_a_whole_follows_from_those_of_its_parts(before, after):
  share = crc32c.shift(google_crc32c.value(before), len(after))
  whole = google_crc32c.value(before + after)
  assert share ^ google_crc32c.value(after) == whole


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2))))
def test_tables_shift_as_one_by_one(pairs):
  lengths = [0, 1, 57]
  tables = np.stack([crc32c.shift_table(length) for length in lengths])
  crcs = np.array([crc for crc, _ in pairs], np.uint32)
  which = np.array([kind for _, kind in pairs], np.int64)
  shifted = crc32c.shift_all(crcs, tables, which)
  assert shifted.dtype == np.uint32
  assert shifted.tolist() == [
    crc32c.shift(crc, lengths[kind]) for crc, kind in pairs
  ]
