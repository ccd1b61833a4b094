# SPDX-License-Identifier: Apache-2.0
"""Licenses: their SPDX identifiers, and whether others may share the images.

licenses.json lists those that permit everybody to share a dataset and what is
made of it, with what they ask for. No more is said of a license than its text does.
"""

from __future__ import annotations

import functools
import json
import pathlib
import re
from typing import NamedTuple


class License(NamedTuple):
  """What is known of a license.

  Attributes:
    spdx: Its SPDX identifier, empty if it is not one of licenses.json.
    sharing: Whether it lets others share the images: 'yes', 'no' where no license
      is stated, else 'unknown'.
    asks: What it asks for, as a phrase without a period.
  """

  spdx: str
  sharing: str
  asks: str


@functools.cache
def find(declared: str) -> License:
  """Returns what is known of a license.

  Args:
    declared: What a source declares: 'MIT', 'CC BY 4.0', 'None stated ...'.
  """
  if declared.casefold().startswith('none stated'):
    asks = 'To share its images, you need the permission of its authors'
    return License('', 'no', asks)
  table = pathlib.Path(__file__).with_name('licenses.json').read_text('utf-8')
  plain = re.sub(r'[\s_-]+', '-', declared.strip()).casefold()
  for spdx, asks in json.loads(table).items():
    # People leave out the version where there is only one: CC0, ODbL.
    if plain in (spdx.casefold(), spdx.casefold().removesuffix('-1.0')):
      return License(spdx, 'yes', asks)
  return License('', 'unknown', 'Its license says whether you may share it')
