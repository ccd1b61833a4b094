# SPDX-License-Identifier: Apache-2.0
"""Find images that occur twice, exactly or nearly.

They are looked for within and across splits and sources.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds import sources as sources_lib
from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import duplicates
from cmnist_tfds.scoring.duplicates import AuditedImages, Duplicates
from cmnist_tfds.system import atomic

if TYPE_CHECKING:
  from matplotlib.figure import Figure

# The largest threshold. About 35 million pairs of Fashion-MNIST would be listed.
_LARGEST = 0.1


def _ratio(text: str) -> float:
  with contextlib.suppress(ValueError):
    if 0 < float(text) <= _LARGEST:
      return float(text)
  raise argparse.ArgumentTypeError(
    f'expected a number above 0, at most {_LARGEST}, found {text!r}'
  )


ARGUMENTS = {
  'audited KEY|NAME': 'key of a source, such as F, or name of a subset, such as'
  ' 2-FKd',
  **arguments.DATASET,
  '--threshold R': {
    'type': _ratio,
    'default': duplicates.THRESHOLD,
    'help': 'largest ratio |a-b|^2/(|a||b|) of near-copies (default:'
    f' {duplicates.THRESHOLD}, at most {_LARGEST}); pairs up to twice as much'
    ' are listed',
  },
  '-o|--output FILE': arguments.path(
    'write the listed pairs as tab-separated values, with their rows in the'
    " sources' files",
    arguments.writable_file,
    dest='pairs',
  ),
  # The former spelling.
  '--pairs FILE': arguments.path(argparse.SUPPRESS, arguments.writable_file),
  '--picture FILE': arguments.picture('draw the nearest pairs to'),
  **arguments.DARK,
  **arguments.printed('text', 'json'),
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.figures import pictures

  try:
    subset = subsets.combine(sources_lib.source(args.audited))
  except KeyError:
    subset = subsets.subset(args.audited)
  args.subsets = [subset]
  parts = duplicates.audited_images(subset, args.open)
  found = duplicates.find_duplicates(parts, 2 * args.threshold)
  if args.pairs:
    atomic.write_file(args.pairs, terminal.tsv(_rows(found)).encode())
  if args.picture:
    title = f'{args.dataset}/{subset.name}'
    pictures.save(args.picture, lambda: _draw(found, title), dark=args.dark)
  if args.format == 'json':
    copied = int(found.with_copy(args.threshold).sum())
    told = {'threshold': args.threshold, 'images': _records(_images(found))}
    pairs = {'test_images_in_train': copied, 'pairs': _records(_rows(found))}
    terminal.print_json(told | pairs)
  else:
    _print(found, args.threshold)


def _pairs(
  found: Duplicates, most: int | None = None
) -> Iterator[tuple[float, list[tuple[AuditedImages, int]]]]:
  """Yields the nearest pairs: the ratio, and the part and number of each."""
  pairs, ratios = found.pairs[:most].tolist(), found.ratios[:most].tolist()
  for pair, ratio in zip(pairs, ratios, strict=True):
    yield ratio, [found.find(number) for number in pair]


def _rows(found: Duplicates) -> Iterator[list[Any]]:
  fields = ('source', 'split', 'row', 'class')
  yield ['ratio', *(f'{f}_{n}' for n in (1, 2) for f in fields)]
  for ratio, pair in _pairs(found):
    row: list[Any] = [round(ratio, 6)]
    for part, n in pair:
      row += part.source.key, part.split, int(part.rows[n]), part.class_name(n)
    yield row


def _images(found: Duplicates) -> Iterator[list[Any]]:
  yield ['source', 'split', 'images', 'different']
  sizes = [len(part.rows) for part in found.parts]
  firsts = np.split(found.firsts, np.cumsum(sizes)[:-1])
  for part, size, own in zip(found.parts, sizes, firsts, strict=True):
    yield [part.source.key, part.split, size, len(np.unique(own))]


def _records(rows: Iterator[list[Any]]) -> list[dict[str, Any]]:
  header = next(rows)
  return [dict(zip(header, row, strict=True)) for row in rows]


def _draw(found: Duplicates, title: str) -> Figure:
  from cmnist_tfds.figures import montage

  groups = []
  for ratio, pair in _pairs(found, montage.PAIRS):
    cells = []
    for part, n in pair:
      image, note = part.images[n], f'{part.title} {part.rows[n]}'
      images = [image.reshape(28, 28)]
      cells.append(montage.Cell(images, part.class_name(n), note))
    groups.append((f'{1000 * ratio:.2f}' if ratio else '=', cells))
  subtitle = 'Nearest images: rows in the files, ratio in thousandths'
  return montage.draw_groups(groups, title, subtitle)


def _print(found: Duplicates, threshold: float) -> None:
  limit = 2 * threshold
  titles = [part.title for part in found.parts]
  ends = np.cumsum([len(part.rows) for part in found.parts])
  terminal.print_table([*_images(found)])
  parts = np.searchsorted(ends, found.pairs, side='right')
  rows = [('pairs', '', 'equal', f'<= {threshold:g}', f'<= {limit:g}')]
  # A pair beyond the limit is the only one.
  for one, other in np.unique(parts[found.ratios <= limit], axis=0).tolist():
    ratios = found.ratios[(parts == (one, other)).all(axis=1)]
    counts = [int((ratios <= most).sum()) for most in (0, threshold, limit)]
    rows.append((titles[one], titles[other], *counts))
  print()
  terminal.print_table(rows)
  copied, listed = (found.with_copy(most).sum() for most in (threshold, limit))
  print()
  terminal.print_wrapped(
    'Test images that have a copy or a near-copy in train:'
    f' {copied:,} (ratio at most {threshold:g}), {listed:,} within {limit:g}.'
  )
  for ratio, pair in _pairs(found, 1):
    one, other = (f'{part.title} row {part.rows[n]}' for part, n in pair)
    print(f'Nearest pair: ratio {ratio:.2g}, {one} and {other}.')
