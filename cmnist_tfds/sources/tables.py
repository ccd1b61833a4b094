# SPDX-License-Identifier: Apache-2.0
"""The declarations of the sources: the TOML files beside this module.

A further TOML file declares a further source; nothing else needs to be edited.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

if sys.version_info >= (3, 11):
  import tomllib
else:
  import tomli as tomllib

# What each file holds, by its name, in alphabetical order.
TABLES: dict[str, dict[str, Any]] = {
  path.name: tomllib.loads(path.read_text('utf-8'))
  for path in sorted(pathlib.Path(__file__).parent.glob('*.toml'))
}
