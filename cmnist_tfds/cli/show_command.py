# SPDX-License-Identifier: Apache-2.0
"""`cmnist show`: a picture of a subset."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments
from cmnist_tfds.figures import pictures

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers, 'show', run, 'draw examples of every class, with class names'
  )
  arguments.add_name(parser)
  arguments.add_dataset(parser)
  parser.add_argument(
    '-o',
    '--output',
    metavar='FILE',
    type=pathlib.Path,
    required=True,
    help='picture to write, a .png or .svg file',
  )
  kinds = parser.add_mutually_exclusive_group()
  for kind, summary in (
    ('histogram', 'draw the number of examples of every class instead'),
    (
      'confusable',
      'draw the pairs of classes of different sources that look most alike'
      ' instead',
    ),
  ):
    kinds.add_argument(
      f'--{kind}',
      action='store_const',
      const=kind,
      default='montage',
      dest='kind',
      help=summary,
    )
  parser.add_argument(
    '--examples',
    type=arguments.at_least_one,
    metavar='N',
    help='number of examples of each class to draw (default: 3) or, with'
    ' --confusable, to compare (default: 60)',
  )
  parser.add_argument(
    '--dark', action='store_true', help='draw light on a dark background'
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  pictures.check_picture(args.output)
  opened = arguments.opened_subset(subsets.subset(args.name), args)
  drawing = pictures.draw(opened, args.kind, args.examples)
  pictures.save(drawing, args.output, dark=args.dark)
  print(
    f'{opened.dataset}/{opened.subset.name}: {opened.subset.num_classes} classes'
    f' drawn to {args.output}'
  )
  return 0
