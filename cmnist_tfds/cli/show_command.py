# SPDX-License-Identifier: Apache-2.0
"""Draw examples of every class, with class names.

As in `cmnist_tfds.load_data`, the files of a subset that is not here are fetched.
"""

from __future__ import annotations

import argparse
import functools
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import Opened, open_named
from cmnist_tfds.system.errors import counted
from cmnist_tfds.system.paths import PathLike

if TYPE_CHECKING:
  from matplotlib.figure import Figure

ARGUMENTS = {
  **arguments.SUBSET,
  '-o|--output FILE': arguments.picture('picture to write,', required=True),
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
  opened, name = arguments.fetched(args), f'{args.dataset}/{args.subset.name}'
  drawn = functools.partial(
    _draw, opened, args.histogram, args.confusable, args.examples
  )
  pictures.save(args.output, drawn, dark=args.dark)
  classes = counted(args.subset.num_classes, 'class')
  print(f'{name}: {classes} drawn to {args.output}')


def show(
  name: str,
  *,
  histogram: bool = False,
  confusable: bool = False,
  examples: int | None = None,
  dark: bool = False,
  data_dir: PathLike | None = None,
  sample: bool = False,
) -> Figure:
  """Returns a figure with examples of every class, as `cmnist show` draws it.

  The subset is read as in `load_data`. Notebooks show the figure; its `savefig`
  writes a file.

  Args:
    name: Name of a subset.
    histogram: Whether to draw the number of examples of every class instead.
    confusable: Whether to draw the pairs of classes of different sources that
      look most alike instead.
    examples: How many examples of each class to draw (3 if None) or, with
      `confusable`, to compare (60 if None).
    dark: Whether to draw light on a dark background.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to draw the synthetic sample instead of CMNIST.

  Raises:
    CmnistError: In the same cases as `load_data`.
    MissingExtraError: If matplotlib, the extra `figures`, is not installed.
  """
  from cmnist_tfds.figures import pictures

  opened = open_named(name, data_dir=data_dir, sample=sample)
  drawn = functools.partial(_draw, opened, histogram, confusable, examples)
  return pictures.styled(drawn, dark=dark)


def _draw(
  opened: Opened, is_histogram: bool, is_confusable: bool, examples: int | None
) -> Figure:
  from cmnist_tfds.figures import histogram, montage, similarity

  subset, title = opened.subset, f'{opened.dataset}/{opened.subset.name}'
  if is_histogram:
    return histogram.draw_histogram(subset, opened.class_counts, title)
  default = similarity.EXAMPLES if is_confusable else montage.EXAMPLES
  images = first_of_each_class(opened, examples or default)
  if is_confusable:
    pairs = similarity.find_pairs(subset.classes, images)[: montage.PAIRS]
    return montage.draw_pairs(subset, pairs, title)
  return montage.draw_montage(subset, images, title)
