# SPDX-License-Identifier: Apache-2.0
"""Draws subsets and saves the drawings as picture files."""

from __future__ import annotations

import io
import pathlib
from typing import Literal

from cmnist_tfds.figures import (
  histogram,
  montage,
  pair_grid,
  similarity,
  svg,
)
from cmnist_tfds.figures.drawing import DARK, LIGHT, Drawing
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import missing_extra
from cmnist_tfds.system.resources import CLASS_NAMES_FONT

Kind = Literal['montage', 'histogram', 'confusable']

# The supported picture formats, by file name suffix.
SUFFIXES = ('.png', '.svg')


def draw(opened: Opened, kind: Kind, examples: int | None = None) -> Drawing:
  """Draws a subset.

  Args:
    opened: The subset.
    kind: 'montage' draws examples of each class with its name, 'histogram' how
      many examples each class has, 'confusable' the classes of different
      sources that look most alike.
    examples: How many examples of each class are drawn ('montage') or compared
      ('confusable'); the default of the kind if None.

  Returns:
    The drawing.

  Raises:
    PreparationError: If the data of the subset is damaged.
  """
  subset = opened.subset
  title = f'{opened.dataset}/{subset.name}'
  if kind == 'histogram':
    counts = [histogram.Counts(*count) for count in opened.class_counts]
    return histogram.draw_histogram(subset, counts, title)
  if kind == 'confusable':
    images = first_of_each_class(opened, examples or similarity.EXAMPLES)
    pairs = similarity.find_pairs(subset, images, pair_grid.PAIRS)
    return pair_grid.draw_pairs(subset, pairs, title)
  images = first_of_each_class(opened, examples or montage.EXAMPLES)
  return montage.draw_montage(subset, images, title)


def check_picture(path: pathlib.Path) -> None:
  """Checks, before any work, that `save` may write a file.

  Args:
    path: The file.

  Raises:
    PreparationError: If the suffix is not supported, the file cannot be
      written, or something other than a regular file is at its place.
  """
  suffix = path.suffix.lower()
  if suffix not in SUFFIXES:
    raise PreparationError(
      f'{path}: expected a {" or ".join(SUFFIXES)} file, found the suffix'
      f' {suffix!r}. Choose another file name.'
    )
  atomic.check_file(path)


def save(drawing: Drawing, path: pathlib.Path, *, dark: bool) -> None:
  """Saves a drawing as a file.

  Args:
    drawing: The drawing.
    path: The file; its suffix, one of `SUFFIXES`, selects the format. A regular
      file of that name is replaced.
    dark: Whether to draw in light colours on a dark background.

  Raises:
    PreparationError: As `check_picture` does, or if the format needs Pillow and
      Pillow is not installed.
  """
  theme = DARK if dark else LIGHT
  check_picture(path)
  if path.suffix.lower() == '.svg':
    text = svg.to_svg(drawing, theme, CLASS_NAMES_FONT)
    atomic.write_file(path, text.encode())
    return
  try:
    from cmnist_tfds.figures import raster
  except ImportError as error:
    raise missing_extra('A PNG file', error, 'figures') from error
  encoded = io.BytesIO()
  raster.to_image(drawing, theme).save(encoded, 'PNG')
  atomic.write_file(path, encoded.getvalue())
