# SPDX-License-Identifier: Apache-2.0
"""The parts of a picture, independent of its file format."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Theme:
  """Colours, in a notation that both CSS and Pillow accept.

  Attributes:
    paper: Colour of the background; an empty string for no background.
    ink: Colour of text.
    faint: Colour of secondary text.
    rule: Colour of dividing lines.
    train: Colour of bars of training examples.
    test: Colour of bars of test examples.
  """

  paper: str
  ink: str
  faint: str
  rule: str
  train: str
  test: str


LIGHT = Theme(
  paper='#ffffff',
  ink='#202124',
  faint='#5f6368',
  rule='#dadce0',
  train='#1967d2',
  test='#b85c00',
)
DARK = Theme(
  paper='#17181b',
  ink='#e8eaed',
  faint='#9aa0a6',
  rule='#3c4043',
  train='#8ab4f8',
  test='#fcad70',
)

# The name of a colour of a theme.
Color = Literal['paper', 'ink', 'faint', 'rule', 'train', 'test']


@dataclasses.dataclass(frozen=True)
class Text:
  """A line of text.

  Attributes:
    x: Position of its start, middle or end, in pixels.
    y: Position of its middle, in pixels.
    text: The characters.
    size: Height in pixels.
    anchor: Which part of the line is at x.
    color: Its colour.
  """

  x: float
  y: float
  text: str
  size: int
  anchor: Literal['start', 'middle', 'end'] = 'start'
  color: Color = 'ink'


@dataclasses.dataclass(frozen=True)
class Bar:
  """A filled rectangle; x and y are its top left corner, in pixels.

  With less `opacity` than 1, the background shows through.
  """

  x: float
  y: float
  width: float
  height: float
  color: Color
  opacity: float = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
  """An example's image, uint8 (28, 28), drawn `size` pixels wide and high.

  x and y are its top left corner, in pixels.
  """

  x: float
  y: float
  size: int
  image: np.ndarray


Mark = Text | Bar | Tile


@dataclasses.dataclass
class Drawing:
  """A picture.

  Attributes:
    width: Width in pixels.
    height: Height in pixels.
    title: What it shows; screen readers read it out.
    marks: Its parts; later ones are drawn over earlier ones.
  """

  width: int
  height: int
  title: str
  marks: list[Mark]
