# SPDX-License-Identifier: Apache-2.0
"""Pictures of prepared subsets, as files."""

from __future__ import annotations

import pathlib
from typing import Literal

from cmnist_tfds import atomic, load
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.figures import confusable, histogram, montage, svg
from cmnist_tfds.figures.drawing import DARK, LIGHT, Drawing

Kind = Literal['montage', 'histogram', 'confusable']

# The formats of files, by the end of their names.
SUFFIXES = ('.png', '.svg')


def draw(
  found: load.Readable,
  kind: Kind,
  examples: int | None = None,
) -> Drawing:
  """Draws a subset.

  Args:
    found: The subset.
    kind: The classes with their names, how many examples they have, or which
      of them look alike across sources.
    examples: How many of each class are drawn or compared; as many as are
      usual for the kind if None.

  Returns:
    The drawing.
  """
  title = f'{found.dataset}/{found.subset.name}'
  if kind == 'histogram':
    return histogram.histogram(found.subset, histogram.counts(found), title)
  if kind == 'confusable':
    images = load.first_of_each_class(found, examples or confusable.EXAMPLES)
    alike = confusable.pairs(found.subset, images, confusable.PAIRS)
    return confusable.confusable(found.subset, alike, title)
  images = load.first_of_each_class(found, examples or montage.EXAMPLES)
  return montage.montage(found.subset, images, title)


def write(drawing: Drawing, path: pathlib.Path, *, dark: bool) -> None:
  """Writes a drawing to a file.

  Args:
    drawing: The drawing.
    path: The file; the end of its name tells the format.
    dark: Whether it is to be light on dark.

  Raises:
    PreparationError: If there is no such format, or Pillow is not installed
      and the format needs it.
  """
  theme = DARK if dark else LIGHT
  suffix = path.suffix.lower()
  if suffix not in SUFFIXES:
    raise PreparationError(
      f'{path}: pictures are {" or ".join(SUFFIXES)} files, not {suffix!r}'
    )
  if suffix == '.svg':
    with atomic.write_file(path) as unfinished:
      unfinished.write_text(svg.render(drawing, theme), encoding='utf-8')
    return
  try:
    from cmnist_tfds.figures import raster
  except ImportError as error:
    raise PreparationError(
      f'PNG pictures need {error.name}, which is not installed: pip install'
      ' "cmnist_tfds[figures]". SVG pictures need nothing more.'
    ) from error
  picture = raster.render(drawing, theme)
  with atomic.write_file(path) as unfinished:
    picture.save(unfinished, 'PNG')
