# SPDX-License-Identifier: Apache-2.0
"""Finds the origin files of a source, verifies them, and loads their arrays."""

from cmnist_tfds.origin import load_split as load_split
from cmnist_tfds.origin.load_split import SplitArrays as SplitArrays
from cmnist_tfds.origin.locations import Locations as Locations
from cmnist_tfds.origin.locations import default_locations as default_locations
from cmnist_tfds.origin.verification import Proof as Proof
from cmnist_tfds.origin.verification import fingerprint as fingerprint
