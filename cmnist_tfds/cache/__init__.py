# SPDX-License-Identifier: Apache-2.0
"""The cache, which all subsets share.

`store` keeps arrays on disk. `split_sources` keeps the examples of each source,
as raw pixels and as encoded images. `prepared` keeps those of datasets that TFDS
has prepared from other files. `shuffle_order` keeps the order in which TFDS
writes examples.
"""
