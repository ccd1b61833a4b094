# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as arrays and batches.

`open_subset` opens a subset, whose splits are `split_view.SplitView`s. From
these, `numpy_arrays`, `tf_data` and `torch_dataset` take examples.
"""
