# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as arrays and batches.

`open_subset` opens a subset from the cache (`cached`) or from shards
(`prepared`). Both return a `SplitView`, from which `numpy_arrays`, `tf_data`
and `torch_dataset` take examples.
"""
