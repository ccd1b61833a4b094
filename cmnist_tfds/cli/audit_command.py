# SPDX-License-Identifier: Apache-2.0
"""`cmnist audit`: images that occur twice."""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import io
from typing import TYPE_CHECKING

import numpy as np

from cmnist_tfds import sources as sources_lib
from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import duplicates
from cmnist_tfds.scoring.duplicates import Duplicates
from cmnist_tfds.system import atomic

if TYPE_CHECKING:
  from cmnist_tfds.figures.montage import Cell

# The largest threshold. About 35 million pairs of Fashion-MNIST would be listed.
_LARGEST = 0.1


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'audit',
    run,
    'find images that occur twice, exactly or nearly, within and across splits'
    ' and sources',
  )
  parser.add_argument(
    'name',
    metavar='KEY|NAME',
    help='key of a source, such as F, or name of a subset, such as 2-FKd',
  )
  arguments.add_dataset(parser)
  parser.add_argument(
    '--threshold',
    type=_ratio,
    default=duplicates.THRESHOLD,
    metavar='R',
    help='largest ratio |a-b|^2/(|a||b|) of near-copies (default:'
    f' {duplicates.THRESHOLD}, at most {_LARGEST}); pairs up to twice as much'
    ' are listed',
  )
  arguments.add_file(
    parser,
    '--pairs',
    'write the listed pairs as tab-separated values, with their rows in the'
    " sources' files",
  )
  arguments.add_file(
    parser, '--picture', 'draw the nearest pairs to a .png or .svg file'
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.figures import montage, pictures

  if args.picture:
    pictures.check_picture(args.picture)
  if args.pairs:
    atomic.check_file(args.pairs)
  try:
    subset = subsets.combine(sources_lib.source(args.name))
  except KeyError:
    subset = subsets.subset(args.name)
  parts = duplicates.audited_images(
    subset, functools.partial(arguments.opened_subset, args=args)
  )
  found = duplicates.find_duplicates(parts, 2 * args.threshold)
  if args.pairs:
    atomic.write_file(args.pairs, _tsv(found).encode())
  if args.picture:
    title = f'{"cmnist_sample" if args.sample else "cmnist"}/{subset.name}'
    subtitle = 'Nearest images: rows in the files, ratio in thousandths'
    draw = functools.partial(
      montage.draw_groups, _pictured(found), title, subtitle
    )
    pictures.save(args.picture, draw)
  _print(found, args.threshold)
  return 0


def _ratio(text: str) -> float:
  with contextlib.suppress(ValueError):
    if 0 < float(text) <= _LARGEST:
      return float(text)
  raise argparse.ArgumentTypeError(
    f'expected a number above 0, at most {_LARGEST}, found {text!r}'
  )


def _tsv(found: Duplicates) -> str:
  out = io.StringIO()
  writer = csv.writer(out, delimiter='\t', lineterminator='\n')
  fields = ('source', 'split', 'row', 'class')
  writer.writerow(['ratio', *(f'{f}_{n}' for n in (1, 2) for f in fields)])
  for pair, ratio in zip(found.pairs.tolist(), found.ratios, strict=True):
    cells = [f'{ratio:.6f}']
    for part, number in map(found.find, pair):
      row, name = part.rows[number], part.class_name(number)
      cells += [part.source.key, part.split, str(row), name]
    writer.writerow(cells)
  return out.getvalue()


def _pictured(found: Duplicates) -> list[tuple[str, list[Cell]]]:
  """Returns the nearest pairs, each with its ratio as heading."""
  from cmnist_tfds.figures import montage

  groups = []
  nearest = found.pairs[: montage.PAIRS].tolist()
  for pair, ratio in zip(nearest, found.ratios, strict=False):
    cells = [
      montage.Cell(
        [part.images[n].reshape(28, 28)],
        part.class_name(n),
        f'{part.title} {part.rows[n]}',
      )
      for part, n in map(found.find, pair)
    ]
    groups.append((f'{1000 * ratio:.2f}' if ratio else '=', cells))
  return groups


def _print(found: Duplicates, threshold: float) -> None:
  limit = 2 * threshold
  titles = [part.title for part in found.parts]
  ends = np.cumsum([len(part.rows) for part in found.parts])
  groups = np.split(found.firsts, ends[:-1])
  images: list[tuple[str | int, ...]] = [('images', 'number', 'different')]
  images += [
    (title, len(firsts), len(np.unique(firsts)))
    for title, firsts in zip(titles, groups, strict=True)
  ]
  terminal.print_table(images, right_from=1)
  parts = np.searchsorted(ends, found.pairs, side='right')
  rows = [('pairs', '', 'equal', f'<= {threshold:g}', f'<= {limit:g}')]
  # A pair beyond the limit is the only one.
  for one, other in np.unique(parts[found.ratios <= limit], axis=0).tolist():
    ratios = found.ratios[(parts == (one, other)).all(axis=1)]
    counts = [str((ratios <= most).sum()) for most in (0, threshold, limit)]
    rows.append((titles[one], titles[other], *counts))
  print()
  terminal.print_table(rows, right_from=2)
  copied, listed = (found.with_copy(most).sum() for most in (threshold, limit))
  print()
  terminal.print_wrapped(
    f'{copied:,} test images have a copy or a near-copy in train (ratio at most'
    f' {threshold:g}), {listed:,} within {limit:g}.'
  )
  if len(found.pairs):
    one, other = (
      f'{part.title} row {part.rows[number]}'
      for part, number in map(found.find, found.pairs[0].tolist())
    )
    print(f'Nearest pair: ratio {found.ratios[0]:.2g}, {one} and {other}.')
