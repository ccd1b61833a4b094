# SPDX-License-Identifier: Apache-2.0
"""Subsets as arrays and batches.

`open_subset` finds what a subset can be read from: arrays that the cache maps
(`cached`), or shards (`prepared`). Both give a `split_view`, from which
`numpy_arrays`, `tf_data` and `torch_dataset` take examples.
"""
