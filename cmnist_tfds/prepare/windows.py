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

"""Runs of bytes at many places of an array, read or written in one go."""

from __future__ import annotations

import numpy as np


def windows(data: np.ndarray, width: int) -> np.ndarray:
  """Returns a view of every run of so many bytes, by where it begins.

  Args:
    data: uint8, at least as long as a run.
    width: Bytes of a run.

  Returns:
    Void of that width (len(data) - width + 1,).
  """
  return np.ndarray(len(data) - width + 1, f'V{width}', data, strides=(1,))


def take(data: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
  """Returns runs of bytes.

  Args:
    data: uint8.
    at: Integers (n,), where each begins.
    width: Bytes of each.

  Returns:
    uint8 (n, width).
  """
  if not at.size:
    return np.empty((0, width), np.uint8)
  return windows(data, width)[at].view(np.uint8).reshape(-1, width)


def put(data: np.ndarray, at: np.ndarray, runs: np.ndarray) -> None:
  """Writes runs of bytes.

  Args:
    data: uint8, where to.
    at: Integers (n,), where each begins.
    runs: uint8 (n, width).
  """
  if at.size:
    width = runs.shape[1]
    windows(data, width)[at] = runs.view(f'V{width}')[:, 0]
