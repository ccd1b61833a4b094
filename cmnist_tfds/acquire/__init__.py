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

"""Finds the origin files of a source, proves them, and reads their arrays."""

from __future__ import annotations

from cmnist_tfds.acquire.places import (
  MIRROR_VARIABLE,
  Copy,
  Places,
  mirror_of_user,
)
from cmnist_tfds.acquire.proofs import Proof, fingerprint
from cmnist_tfds.acquire.splits import SplitArrays, find, read_split

__all__ = [
  'MIRROR_VARIABLE',
  'Copy',
  'Places',
  'Proof',
  'SplitArrays',
  'find',
  'fingerprint',
  'mirror_of_user',
  'read_split',
]
