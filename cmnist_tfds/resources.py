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

"""Where the files lie that travel with the package."""

from __future__ import annotations

import pathlib

_PACKAGE = pathlib.Path(__file__).resolve().parent


def folder(name: str) -> pathlib.Path:
  """Returns a folder that stands beside the package in its repository.

  An installed package holds the folder inside itself; in a checkout, and with
  `pip install -e`, it stands one level up.

  Args:
    name: 'checksums' or 'dummy_data'.

  Returns:
    The folder's path.
  """
  installed = _PACKAGE / name
  return installed if installed.is_dir() else _PACKAGE.parent / name
