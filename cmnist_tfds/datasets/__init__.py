# SPDX-License-Identifier: Apache-2.0
"""The datasets, in the layout of those in TensorFlow Datasets."""

# This import must come first. It ends with defining the builders (see
# `cmnist_tfds`), which fails if a module of this package is half imported.
import tensorflow_datasets  # noqa: F401
