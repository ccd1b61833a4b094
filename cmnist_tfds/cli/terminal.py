# SPDX-License-Identifier: Apache-2.0
"""What commands print, and the exit statuses of those that fail."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cmnist_tfds.scoring import report
from cmnist_tfds.scoring.comparison import Comparison
from cmnist_tfds.scoring.evaluation import Evaluation
from cmnist_tfds.system import streams

FAILED = 1
USAGE = 2


def fail(error: object, status: int = FAILED) -> int:
  """Prints an error on stderr; returns the exit status."""
  print(f'cmnist: {error}', file=sys.stderr)
  return status


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
  """Prints the warnings of this package on stderr, each as a line like errors.

  Yields:
    Nothing.
  """
  log = logging.getLogger('cmnist_tfds')
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(logging.Formatter('cmnist: warning: %(message)s'))
  propagates = log.propagate
  log.addHandler(handler)
  log.propagate = False
  try:
    yield
  finally:
    log.removeHandler(handler)
    log.propagate = propagates


def print_report(
  reported: Evaluation | Comparison,
  sections: Iterable[report.Section],
  format_: str,
) -> None:
  """Prints a report of predictions.

  Args:
    reported: The record that JSON gives.
    sections: What people read.
    format_: 'text', 'markdown' or 'json'.
  """
  if format_ == 'json':
    print(json.dumps(reported.to_dict(), indent=1, ensure_ascii=False))
  elif format_ == 'markdown':
    print(report.to_markdown(sections), end='')
  else:
    for number, section in enumerate(sections):
      print('\n' * bool(number) + section.title)
      print_table(section.rows)
      print(*section.lines, sep='\n', end='\n' * bool(section.lines))


def print_wrapped(text: str, indent: int = 0) -> None:
  """Prints text in lines that fit the terminal.

  Args:
    text: The text. Its own line ends do not count. A path or an address that is
      longer than a line stays whole, so that it can be copied.
    indent: How many spaces precede each line.
  """
  wrapped = textwrap.fill(
    ' '.join(text.split()),
    max(shutil.get_terminal_size().columns - indent, 1),
    break_long_words=False,
    break_on_hyphens=False,
  )
  print(textwrap.indent(wrapped, ' ' * indent))


def print_records(
  records: Sequence[Mapping[str, Any]], format_: str, right_from: int
) -> None:
  """Prints records.

  Args:
    records: At least one record; all have the same fields. A value that nobody
      knows is None.
    format_: 'table', 'tsv' or 'json'.
    right_from: As in `print_table`.
  """
  header, rows = [*records[0]], [[*record.values()] for record in records]
  if format_ == 'json':
    print(json.dumps(records, indent=2))
  elif format_ == 'tsv':
    print(tsv([header, *rows]), end='')
  else:
    # Programs that count lines or cut columns do not want a header.
    shown = [header] if streams.is_terminal(sys.stdout) else []
    shown += [['?' if cell is None else cell for cell in row] for row in rows]
    print_table(shown, right_from)


def tsv(rows: Iterable[Iterable[Any]]) -> str:
  """Returns rows as tab-separated values; None is empty."""
  out = io.StringIO()
  csv.writer(out, delimiter='\t', lineterminator='\n').writerows(rows)
  return out.getvalue()


def print_table(
  rows: Sequence[Sequence[Any]], right_from: int = sys.maxsize
) -> None:
  """Prints rows in aligned columns.

  Args:
    rows: At least one row; all have the same number of cells. Integers are
      printed with thousands separators.
    right_from: Index of the first column that is aligned to the right.
  """
  columns = []
  for number, column in enumerate(zip(*rows, strict=True)):
    cells = [f'{c:,}' if isinstance(c, int) else str(c) for c in column]
    align = '>' if number >= right_from else '<'
    width = max(map(len, cells))
    columns.append([f'{cell:{align}{width}}' for cell in cells])
  for row in zip(*columns, strict=True):
    print('  '.join(row).rstrip())
