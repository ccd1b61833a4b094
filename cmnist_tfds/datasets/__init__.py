# SPDX-License-Identifier: Apache-2.0
"""The datasets, laid out as those inside TensorFlow Datasets."""

# Before anything else: the end of this import defines the builders (see
# `cmnist_tfds`), for which it needs the modules of this package unbegun.
import tensorflow_datasets  # noqa: F401
