# SPDX-License-Identifier: Apache-2.0
"""Runs a command; prints the packages that are imported by then on stderr."""

from __future__ import annotations

import sys

from cmnist_tfds import cli

try:
  status = cli.main(sys.argv[1:])
except SystemExit as stopped:  # After --help.
  status = stopped.code
print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)
sys.exit(status)
