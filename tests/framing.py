# SPDX-License-Identifier: Apache-2.0
"""Single examples and records, from the parts that builds join."""

from __future__ import annotations

import google_crc32c
import numpy as np

from cmnist_tfds.formats import example, tfrecord


def encode(png, integers):
  """Returns one serialised example."""
  tail = example.tail(integers)
  return example.head(len(png), len(tail)) + png + tail


def frame(record):
  """Returns a record in its frame."""
  crc = np.array([google_crc32c.value(record)], np.uint32)
  return tfrecord.header(len(record)) + record + tfrecord.footers(crc).tobytes()
