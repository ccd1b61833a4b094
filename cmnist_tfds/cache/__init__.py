# SPDX-License-Identifier: Apache-2.0
"""What is made once of each source and shared by all subsets.

`store` keeps arrays on disk, `split_sources` holds what each source gives to a
split, as raw pixels or as encoded images, and `shuffle_order` the order in
which TFDS writes examples.
"""
