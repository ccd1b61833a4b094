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


from __future__ import annotations

import google_crc32c
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.prepare import crc32c


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
