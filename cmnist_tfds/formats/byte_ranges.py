# SPDX-License-Identifier: Apache-2.0
"""Reads and writes runs of bytes at many places of an array at once."""

from __future__ import annotations

import numpy as np


def windows(data: np.ndarray, width: int) -> np.ndarray:
  """Returns a view of all runs of one width.

  Args:
    data: uint8, at least as long as a run.
    width: Number of bytes in a run.

  Returns:
    Void of that width, (len(data) - width + 1,): the run that begins at each
    byte.
  """
  return np.ndarray(len(data) - width + 1, f'V{width}', data, strides=(1,))


def take(data: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
  """Returns runs of bytes.

  Args:
    data: uint8.
    at: Integers (n,), where each run begins.
    width: Number of bytes in a run.

  Returns:
    uint8 (n, width).
  """
  if not at.size:
    return np.empty((0, width), np.uint8)
  return windows(data, width)[at].view(np.uint8).reshape(-1, width)


def put(data: np.ndarray, at: np.ndarray, runs: np.ndarray) -> None:
  """Writes runs of bytes.

  Args:
    data: uint8, the array to write to.
    at: Integers (n,), where each run begins.
    runs: uint8 (n, width).
  """
  if at.size:
    width = runs.shape[1]
    windows(data, width)[at] = runs.view(f'V{width}')[:, 0]
