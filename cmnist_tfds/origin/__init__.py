# SPDX-License-Identifier: Apache-2.0
"""Finds the origin files of a source, verifies them, and loads their arrays."""

from __future__ import annotations

from cmnist_tfds.origin import load_split
from cmnist_tfds.origin.load_split import SplitArrays
from cmnist_tfds.origin.locations import Locations, default_locations
from cmnist_tfds.origin.verification import Proof, fingerprint

__all__ = [
  'Locations',
  'Proof',
  'SplitArrays',
  'default_locations',
  'fingerprint',
  'load_split',
]
