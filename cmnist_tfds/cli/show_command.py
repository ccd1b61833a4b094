# SPDX-License-Identifier: Apache-2.0
"""`cmnist show`: a picture of a subset."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import Opened

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def register(subparsers: arguments.Subparsers) -> None:
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
  arguments.add_flags(
    parser.add_mutually_exclusive_group(),
    histogram='draw the number of examples of every class instead',
    confusable='draw the pairs of classes of different sources that look most'
    ' alike instead',
  )
  parser.add_argument(
    '--examples',
    type=arguments.at_least_one,
    metavar='N',
    help='number of examples of each class to draw (default: 3) or, with'
    ' --confusable, to compare (default: 60)',
  )
  arguments.add_flags(parser, dark='draw light on a dark background')


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.figures import pictures

  pictures.check_picture(args.output)
  opened = arguments.opened_subset(subsets.subset(args.name), args)
  pictures.save(args.output, lambda: _draw(opened, args), dark=args.dark)
  print(
    f'{opened.dataset}/{opened.subset.name}: {opened.subset.num_classes} classes'
    f' drawn to {args.output}'
  )
  return 0


def _draw(opened: Opened, args: argparse.Namespace) -> Figure:
  from cmnist_tfds.figures import histogram, montage, similarity

  subset = opened.subset
  title = f'{opened.dataset}/{subset.name}'
  if args.histogram:
    return histogram.draw_histogram(subset, opened.class_counts, title)
  default = similarity.EXAMPLES if args.confusable else montage.EXAMPLES
  images = first_of_each_class(opened, args.examples or default)
  if args.confusable:
    pairs = similarity.find_pairs(subset.classes, images)[: montage.PAIRS]
    return montage.draw_pairs(subset, pairs, title)
  return montage.draw_montage(subset, images, title)
