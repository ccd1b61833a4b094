# SPDX-License-Identifier: Apache-2.0
"""Draws characters as on a machine without any fonts.

Writes the picture of the second argument's characters, one a line, to the path
that is the first argument, and prints the texts that stand for the characters.
"""

import pathlib
import sys

from PIL import ImageFont

from cmnist_tfds.figures import fonts, pictures
from cmnist_tfds.figures.drawing import Drawing, Text
from cmnist_tfds.system.resources import CLASS_NAMES_FONT

load_font = ImageFont.truetype


def load_packaged_font(font, *args, **kwargs):
  """Loads no other font than the one of the package."""
  if font != str(CLASS_NAMES_FONT):
    raise OSError('cannot open resource')
  return load_font(font, *args, **kwargs)


ImageFont.truetype = load_packaged_font
sys.stdout.reconfigure(encoding='utf-8')

path, characters = sys.argv[1:]
texts = [Text(10, 20 + 20 * i, name, 14) for i, name in enumerate(characters)]
drawing = Drawing(100, 40 + 20 * len(texts), 'characters', texts)
pictures.save(drawing, pathlib.Path(path), dark=False)
drawn = (fonts.text_and_font(text.text, text.size)[0] for text in texts)
print(*drawn, sep='', end='')
