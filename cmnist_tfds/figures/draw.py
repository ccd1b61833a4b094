# SPDX-License-Identifier: Apache-2.0
"""Draws what a subset holds: `cmnist show`, and `cmnist_tfds.show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cmnist_tfds import subsets
from cmnist_tfds.figures import histogram as histogram_lib
from cmnist_tfds.figures import montage, pictures, similarity
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import Opened, open_or_prepare
from cmnist_tfds.system.paths import PathLike

if TYPE_CHECKING:
  from matplotlib.figure import Figure


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
  subset = subsets.subset(name)
  opened = open_or_prepare(
    subset, data_dir=data_dir, sample=sample or subsets.names_sample(name)
  )
  return pictures.styled(
    lambda: draw(
      opened, histogram=histogram, confusable=confusable, examples=examples
    ),
    dark=dark,
  )


def draw(
  opened: Opened, *, histogram: bool, confusable: bool, examples: int | None
) -> Figure:
  """Returns a figure of a subset, which `pictures` gives its style."""
  subset, title = opened.subset, f'{opened.dataset}/{opened.subset.name}'
  if histogram:
    return histogram_lib.draw_histogram(subset, opened.class_counts, title)
  default = similarity.EXAMPLES if confusable else montage.EXAMPLES
  images = first_of_each_class(opened, examples or default)
  if confusable:
    pairs = similarity.find_pairs(subset.classes, images)[: montage.PAIRS]
    return montage.draw_pairs(subset, pairs, title)
  return montage.draw_montage(subset, images, title)
