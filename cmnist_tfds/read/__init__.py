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

"""From subsets to arrays and batches, as fast as memory allows."""

from __future__ import annotations

from cmnist_tfds.read.arrays import first_of_each_class, load_data
from cmnist_tfds.read.batches import as_batches
from cmnist_tfds.read.prepared import (
  SAMPLE,
  Prepared,
  builder_of,
  find,
  folder_of,
)
from cmnist_tfds.read.readable import Readable, find_or_prepare
from cmnist_tfds.read.readable import find as find_readable
from cmnist_tfds.read.stored import Stored

__all__ = [
  'SAMPLE',
  'Prepared',
  'Readable',
  'Stored',
  'as_batches',
  'builder_of',
  'find',
  'find_or_prepare',
  'find_readable',
  'first_of_each_class',
  'folder_of',
  'load_data',
]
