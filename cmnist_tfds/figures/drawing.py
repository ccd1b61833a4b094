# SPDX-License-Identifier: Apache-2.0
"""What a picture consists of, whatever the format of its file."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Theme:
  """Colours, as CSS and Pillow both write them.

  Attributes:
    paper: Background; empty for none.
    ink: Text.
    faint: Text of less weight.
    rule: Lines between parts.
    train: Bars of training examples.
    test: Bars of test examples.
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

# Which colour of the theme.
Color = Literal['ink', 'faint', 'rule', 'train', 'test']


@dataclasses.dataclass(frozen=True)
class Text:
  """A line of text.

  Attributes:
    x: Where it starts, has its middle or ends.
    y: Its middle.
    text: The characters.
    size: Height in pixels.
    anchor: What of it stands at x.
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
  """A filled rectangle."""

  x: float
  y: float
  width: float
  height: float
  color: Color


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
  """An example's image, uint8 (28, 28), drawn `size` pixels wide and high."""

  x: float
  y: float
  size: int
  image: np.ndarray


Mark = Text | Bar | Tile


@dataclasses.dataclass
class Drawing:
  """A picture.

  Attributes:
    width: In pixels.
    height: In pixels.
    title: What it shows, for those who cannot see it.
    marks: What is on it; later ones above earlier ones.
  """

  width: int
  height: int
  title: str
  marks: list[Mark]
