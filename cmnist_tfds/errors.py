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

"""The errors a user can meet: faults of a name, of a file, of the machine.

Each message names the thing, what was expected, what was found and the remedy.
The command line prints them as they are; every other exception is a defect.
"""


class CmnistError(Exception):
  """Base of all errors this package raises on purpose."""


class SubsetNameError(CmnistError, ValueError):
  """A name that is no CMNIST subset; says why and what was likely meant."""


class OriginFileError(CmnistError):
  """An origin file that is missing, damaged, or not the one expected."""


class PreparationError(CmnistError):
  """A dataset that cannot be prepared or written as asked."""


class SplitError(CmnistError, ValueError):
  """A split that there is none of, or that is not written as TFDS does."""


class MemoryShortageError(CmnistError, MemoryError):
  """Arrays that do not fit into memory, told before they are allocated."""
