# SPDX-License-Identifier: Apache-2.0
"""Draw examples of every class, with class names."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.system.errors import counted

if TYPE_CHECKING:
  from matplotlib.figure import Figure

ARGUMENTS = {
  **arguments.SUBSET,
  '-o|--output FILE': arguments.path(
    'picture to write, a .png or .svg file', arguments.picture, required=True
  ),
  'one of': {
    '--histogram': 'draw the number of examples of every class instead',
    '--confusable': 'draw the pairs of classes of different sources that look'
    ' most alike instead',
  },
  '--examples N': arguments.number(
    'number of examples of each class to draw (default: 3) or, with'
    ' --confusable, to compare (default: 60)'
  ),
  **arguments.DARK,
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.figures import pictures

  if args.histogram and args.examples:
    raise argparse.ArgumentError(None, '--examples is not for --histogram')
  opened, name = args.open(args.subset), f'{args.dataset}/{args.subset.name}'
  pictures.save(args.output, lambda: _draw(opened, name, args), dark=args.dark)
  print(
    f'{name}: {counted(args.subset.num_classes, "class")} drawn to {args.output}'
  )


def _draw(opened: Opened, title: str, args: arguments.Namespace) -> Figure:
  from cmnist_tfds.figures import histogram, montage, similarity

  subset = opened.subset
  if args.histogram:
    return histogram.draw_histogram(subset, opened.class_counts, title)
  default = similarity.EXAMPLES if args.confusable else montage.EXAMPLES
  images = first_of_each_class(opened, args.examples or default)
  if args.confusable:
    pairs = similarity.find_pairs(subset.classes, images)[: montage.PAIRS]
    return montage.draw_pairs(subset, pairs, title)
  return montage.draw_montage(subset, images, title)
