# SPDX-License-Identifier: Apache-2.0
"""Draws kana and a Kannada digit as on a machine without any fonts.

Writes the picture to the path that is the argument, and prints the texts that
stand for the characters.
"""

import pathlib
import sys

from PIL import ImageFont

from cmnist_tfds.figures import fonts, pictures
from cmnist_tfds.figures.drawing import Drawing, Text

load_font = ImageFont.truetype


def load_included_font(font, *args, **kwargs):
  """Loads the font that Pillow includes, which it passes as a file object."""
  if isinstance(font, str):
    raise OSError('cannot open resource')
  return load_font(font, *args, **kwargs)


ImageFont.truetype = load_included_font

texts = [Text(10, 20 + 20 * i, name, 14) for i, name in enumerate('あい೦')]
drawing = Drawing(100, 80, 'characters', texts)
pictures.save(drawing, pathlib.Path(sys.argv[1]), dark=False)
print(*(fonts.text_and_font(text.text, text.size)[0] for text in texts))
