# SPDX-License-Identifier: Apache-2.0
"""Finds the origin files of a source, verifies them, and loads their arrays."""

from __future__ import annotations

from cmnist_tfds.origin import load_split
from cmnist_tfds.origin.load_split import SplitArrays
from cmnist_tfds.origin.locations import (
  MIRROR_VARIABLE,
  Copy,
  Locations,
  mirror_of_user,
)
from cmnist_tfds.origin.verification import Proof, fingerprint

__all__ = [
  'MIRROR_VARIABLE',
  'Copy',
  'Locations',
  'Proof',
  'SplitArrays',
  'fingerprint',
  'load_split',
  'mirror_of_user',
]
