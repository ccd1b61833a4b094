# SPDX-License-Identifier: Apache-2.0
"""What commands print, and the exit statuses of those that fail."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

FAILED = 1
USAGE = 2


def fail(error: object, status: int = FAILED) -> int:
  """Prints an error on stderr; returns the exit status."""
  print(f'cmnist: {error}', file=sys.stderr)
  return status


def print_table(
  rows: Sequence[Sequence[Any]], right_from: int = sys.maxsize
) -> None:
  """Prints rows in aligned columns.

  Args:
    rows: At least one row; all have the same number of cells. Integers are
      printed with thousands separators.
    right_from: Index of the first column that is aligned to the right.
  """
  cells = [
    [f'{c:,}' if isinstance(c, int) else str(c) for c in row] for row in rows
  ]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  for row in cells:
    aligned = (
      cell.rjust(width) if i >= right_from else cell.ljust(width)
      for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    print('  '.join(aligned).rstrip())
