# SPDX-License-Identifier: Apache-2.0
"""From verified arrays to shards: every source image is encoded once.

`store` keeps the encoded images of a source, `records` joins what the stores
hold into the records of a split, in the `order` of TFDS, and `shards` writes
them. `png`, `example` and `tfrecord` say what the bytes are; `checked_file`,
`crc32c` and `md5` are what these need.
"""
