# SPDX-License-Identifier: Apache-2.0
"""Deprecated: the old name of `cmnist_tfds.load.torch_dataset`."""

from __future__ import annotations

from cmnist_tfds.load.torch_dataset import CMNIST

__all__ = ['CMNIST']
