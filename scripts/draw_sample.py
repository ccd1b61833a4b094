# SPDX-License-Identifier: Apache-2.0
"""Draws the synthetic sample: eleven small sources in the origins' formats.

The sample stands in for CMNIST's sources where the real ones are not at hand:
in tests, in tutorials, without a network. Its pictures are true to their class
(a person reads them), but none of them is a picture of CMNIST.

Usage:

  python scripts/draw_sample.py [folder]

The folder defaults to `dummy_data` beside the folder of this script. The same
versions of NumPy, Pillow, zlib and the fonts give the same bytes at every run.

It needs NumPy, Pillow, and fonts from these Debian packages:

  apt-get install --no-install-recommends fonts-bebas-neue fonts-cabinsketch \
    fonts-comic-neue fonts-dancingscript fonts-dejavu-core fonts-dejavu-extra \
    fonts-essays1743 fonts-fantasque-sans fonts-goudybookletter fonts-gubbi \
    fonts-humor-sans fonts-junicode fonts-kiloji fonts-klee \
    fonts-kouzan-mouhitsu fonts-league-spartan fonts-lobster fonts-lohit-knda \
    fonts-navilu fonts-noto-core fonts-oldstandard fonts-seto \
    fonts-sil-andika fonts-vollkorn fonts-yanone-kaffeesatz \
    fonts-yozvox-yozfont
"""

from __future__ import annotations

import argparse
import functools
import gzip
import io
import pathlib
import string
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SEED = 20190924  # The date of the CMNIST paper.
SIDE = 28  # Pixels, of every picture of every source.
MAX_BYTES = 2_900_000  # Of all files together.

# 16 gray levels, 17 apart, reach from 0 to 255. The eye does not miss the
# others, and the files shrink by a third.
GRAY_STEP = 17

FONT_ROOT = pathlib.Path('/usr/share/fonts')
FONT_PX = 144  # Size at which glyphs are drawn before they are bent.
OVERSAMPLING = 4  # Pixels drawn per pixel kept, along each axis.
PEN = 8  # The same for the silhouettes of Fashion-MNIST.

# A fixed date keeps archives equal from run to run; ZIP knows none before it.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)

IDX_IMAGES_MAGIC = 0x00000803
IDX_LABELS_MAGIC = 0x00000801


class Font(NamedTuple):
  """A font file and where it comes from."""

  package: str
  path: str  # Below FONT_ROOT.
  license: str


class Hand(NamedTuple):
  """A font as one of a pool: how to draw with it, and what not to."""

  font: str  # Key of FONTS.
  thin: int = 0  # Least width added around the glyph, pixels at FONT_PX.
  thick: int = 0  # Most width added.
  skip: str = ''  # Glyphs a reader would take for another class.


class Motion(NamedTuple):
  """How far pictures of one kind may differ from their glyph."""

  rotate: float  # Degrees to either side.
  shear: float
  wide: tuple[float, float]  # Range of the horizontal stretch.
  wobble: float  # Deviation of the mesh's nodes, share of the glyph's size.
  side: tuple[float, float]  # Range of the longer side, pixels kept.
  shift: float  # Pixels kept, to either side.
  blur: float  # Radius, pixels kept.


class Source(NamedTuple):
  """One source: its classes and how many pictures of each to draw."""

  key: str
  classes: tuple[str, ...]  # Per class, the shapes that belong to it.
  first: int  # Raw label of the first class.
  train: int  # Pictures per class.
  test: int
  spread: int = 0  # Unbalanced sources: up to so many more train pictures.


FONTS = {
  'andika': Font(
    'fonts-sil-andika', 'truetype/andika/Andika-Regular.ttf', 'OFL-1.1'
  ),
  'bebas': Font(
    'fonts-bebas-neue',
    'opentype/bebas-neue/BebasNeue-Bold.otf',
    'OFL-1.1',
  ),
  'cabinsketch': Font(
    'fonts-cabinsketch',
    'truetype/cabinsketch/CabinSketch-Bold.ttf',
    'OFL-1.1',
  ),
  'comic': Font(
    'fonts-comic-neue',
    'opentype/comic-neue/ComicNeue-Regular.otf',
    'OFL-1.1',
  ),
  'dancing': Font(
    'fonts-dancingscript',
    'opentype/dancingscript/DancingScript-Regular.otf',
    'OFL-1.1',
  ),
  'dancing_bold': Font(
    'fonts-dancingscript',
    'opentype/dancingscript/DancingScript-Bold.otf',
    'OFL-1.1',
  ),
  'dejavu_light': Font(
    'fonts-dejavu-extra',
    'truetype/dejavu/DejaVuSans-ExtraLight.ttf',
    'Bitstream Vera',
  ),
  'dejavu_mono': Font(
    'fonts-dejavu-core',
    'truetype/dejavu/DejaVuSansMono-Bold.ttf',
    'Bitstream Vera',
  ),
  'dejavu_serif': Font(
    'fonts-dejavu-extra',
    'truetype/dejavu/DejaVuSerifCondensed-BoldItalic.ttf',
    'Bitstream Vera',
  ),
  'essays': Font(
    'fonts-essays1743',
    'truetype/essays1743/Essays1743-Bold.ttf',
    'OFL-1.1',
  ),
  'fantasque': Font(
    'fonts-fantasque-sans',
    'truetype/fantasque-sans/Normal/TTF/FantasqueSansMono-Italic.ttf',
    'OFL-1.1',
  ),
  'goudy': Font(
    'fonts-goudybookletter',
    'opentype/sortsmill/GoudyBookletter1911.otf',
    'public domain',
  ),
  'gubbi': Font(
    'fonts-gubbi',
    'truetype/Gubbi/Gubbi.ttf',
    'GPL-2+ with font exception',
  ),
  'humor': Font(
    'fonts-humor-sans', 'truetype/humor-sans/Humor-Sans.ttf', 'OFL-1.1'
  ),
  'junicode': Font(
    'fonts-junicode',
    'opentype/junicode/JunicodeTwoBeta-ExpandedBoldItalic.otf',
    'OFL-1.1',
  ),
  'kiloji': Font(
    'fonts-kiloji', 'truetype/kiloji/kiloji_b.ttf', 'BSD-3-Clause'
  ),
  'klee': Font('fonts-klee', 'truetype/klee/KleeOne-SemiBold.ttf', 'OFL-1.1'),
  'kouzan': Font(
    'fonts-kouzan-mouhitsu',
    'truetype/kouzan-mouhitsu/kouzan-mouhitsu.ttf',
    'public domain',
  ),
  'lobster': Font('fonts-lobster', 'opentype/lobster/lobster.otf', 'OFL-1.1'),
  'lohit': Font(
    'fonts-lohit-knda',
    'truetype/lohit-kannada/Lohit-Kannada.ttf',
    'OFL-1.1',
  ),
  'navilu': Font('fonts-navilu', 'truetype/Navilu/Navilu.ttf', 'OFL-1.1'),
  'noto_sans': Font(
    'fonts-noto-core',
    'truetype/noto/NotoSansKannada-Regular.ttf',
    'OFL-1.1',
  ),
  'noto_sans_bold': Font(
    'fonts-noto-core', 'truetype/noto/NotoSansKannada-Bold.ttf', 'OFL-1.1'
  ),
  'noto_serif': Font(
    'fonts-noto-core',
    'truetype/noto/NotoSerifKannada-Regular.ttf',
    'OFL-1.1',
  ),
  'oldstandard': Font(
    'fonts-oldstandard',
    'truetype/fonts-oldstandard/OldStandard-Bold.ttf',
    'OFL-1.0',
  ),
  'seto': Font('fonts-seto', 'truetype/seto/setofont.ttf', 'OFL-1.1'),
  'spartan': Font(
    'fonts-league-spartan',
    'opentype/league-spartan/LeagueSpartan-Black.otf',
    'OFL-1.1',
  ),
  'vollkorn': Font(
    'fonts-vollkorn',
    'truetype/vollkorn/Vollkorn-BlackItalic.ttf',
    'OFL-1.1',
  ),
  'yanone': Font(
    'fonts-yanone-kaffeesatz',
    'opentype/yanone-kaffeesatz/YanoneKaffeesatz-Bold.otf',
    'OFL-1.1',
  ),
  'yoz': Font(
    'fonts-yozvox-yozfont', 'truetype/yozvox-yozfont/YOzRE_.ttf', 'OFL-1.1'
  ),
  'yoz_antique': Font(
    'fonts-yozvox-yozfont', 'truetype/yozvox-yozfont/YOzRA_.ttf', 'OFL-1.1'
  ),
}

# Digits and letters come from different hands where they would look alike:
# 'O' is round and '0' is narrow, 'I' has its serifs and 'l' its loop or hook.
DIGIT_HANDS = (
  Hand('comic', 2, 6),
  Hand('fantasque', 1, 3),
  Hand('humor', 0, 1),
  Hand('kiloji', 0, 4),
  Hand('klee', 2, 6),
  Hand('navilu', 0, 4),
  Hand('seto', 0, 3),
)
LETTER_HANDS = (
  Hand('andika', 0, 4, skip='l'),
  Hand('comic', 2, 6, skip='lq'),
  Hand('dancing', 1, 3),
  Hand('fantasque', 1, 3, skip='O'),
  # Its lower case is small capitals, and its 'I' a bare stroke.
  Hand('humor', 0, 1, skip='I' + string.ascii_lowercase),
  Hand('kiloji', 0, 4, skip='Olq'),
  Hand('klee', 2, 6, skip='Ilq'),
  Hand('seto', 0, 2, skip='O'),
  Hand('yoz', 1, 5, skip='l'),
)
KANNADA_HANDS = (
  Hand('gubbi', 1, 3),
  Hand('lohit', 0, 2),
  Hand('navilu', 0, 2),
  Hand('noto_sans', 0, 2),
  Hand('noto_sans_bold'),
  Hand('noto_serif', 0, 3),
)
KANA_HANDS = (
  Hand('kiloji', 0, 3),
  Hand('klee', 2, 5),
  Hand('kouzan', 1, 3, skip='してふへれわゝ'),  # Too cursive to read.
  Hand('seto', 0, 2),
  Hand('yoz', 2, 5),
  Hand('yoz_antique', 1, 4),
)
TYPE_HANDS = (
  Hand('bebas', 0, 5),
  Hand('cabinsketch', 0, 2),
  Hand('dancing_bold', 0, 5),
  Hand('dejavu_light', 0, 5),
  Hand('dejavu_mono', 0, 4),
  Hand('dejavu_serif', 0, 4),
  Hand('essays', 0, 3),
  Hand('goudy', 0, 6),
  Hand('junicode', 0, 4),
  Hand('lobster', 0, 5),
  Hand('oldstandard', 0, 4),
  Hand('spartan', 0, 3),
  Hand('vollkorn', 0, 3),
  Hand('yanone', 0, 5),
)

# Narrow digits, as a running hand writes them.
DIGIT_MOTION = Motion(9, 0.12, (0.72, 0.9), 0.02, (19, 22), 1.0, 0.45)
LETTER_MOTION = Motion(8, 0.12, (0.92, 1.12), 0.02, (19, 22), 1.0, 0.45)
KANNADA_MOTION = Motion(9, 0.12, (0.9, 1.15), 0.02, (18, 22), 1.5, 0.4)
KANA_MOTION = Motion(7, 0.1, (0.88, 1.12), 0.018, (23, 27), 0.8, 0.35)
TYPE_MOTION = Motion(4, 0.06, (0.85, 1.25), 0.004, (27, 28), 0.0, 0.2)
FASHION_MOTION = Motion(2, 0.02, (0.92, 1.08), 0.01, (26, 28), 0.5, 0.25)

DIGITS = tuple(string.digits)
UPPER = tuple(string.ascii_uppercase)
# The merged classes of EMNIST hold both cases; these keep their own lower one.
OWN_LOWER = tuple('abdefghnqrt')
MERGED = (
  DIGITS
  + tuple(c if c.lower() in OWN_LOWER else c + c.lower() for c in UPPER)
  + OWN_LOWER
)
GARMENTS = (
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
)

# The order seeds the random numbers: append, do not insert.
SOURCES = (
  Source('E', DIGITS, 0, 120, 24),
  Source('Ed', DIGITS, 0, 60, 12),
  Source('El', tuple(c + c.lower() for c in UPPER), 1, 120, 24),
  Source('Eb', MERGED, 0, 30, 8),
  Source('Em', MERGED, 0, 20, 4, spread=12),
  Source('Ec', DIGITS + UPPER + tuple(string.ascii_lowercase), 0, 16, 3, 12),
  Source('F', GARMENTS, 0, 120, 24),
  Source('Kd', tuple('೦೧೨೩೪೫೬೭೮೯'), 0, 120, 24),
  Source('Km', tuple('おきすつなはまやれを'), 0, 120, 24),
  Source(
    'K49',
    tuple(
      'あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ'
      'まみむめもやゆよらりるれろわゐゑをんゝ'
    ),
    0,
    32,
    6,
    spread=16,
  ),
  Source('N', UPPER[:10], 0, 120, 24),
)

EMNIST_SETS = {
  'byclass': 'Ec',
  'bymerge': 'Em',
  'balanced': 'Eb',
  'letters': 'El',
  'digits': 'Ed',
  'mnist': 'E',
}

# Pictures and raw labels of one split.
Split = tuple[np.ndarray, np.ndarray]
# What a garment is drawn with: polygons in pixels kept, and a gray level.
Pen = Callable[[Sequence[tuple[float, float]], float], None]


# ----------------------------------------------------------------- glyphs


@functools.cache
def load_font(name: str) -> ImageFont.FreeTypeFont:
  """Opens a font of `FONTS` at the size glyphs are drawn at."""
  # The basic layout is in every Pillow; Raqm's may differ by a pixel.
  return ImageFont.truetype(
    str(FONT_ROOT / FONTS[name].path),
    FONT_PX,
    layout_engine=ImageFont.Layout.BASIC,
  )


def has_glyph(name: str, char: str) -> bool:
  """Says whether a font draws `char` itself, not a box in its place."""
  font = load_font(name)
  mask = font.getmask(char)
  # No font has a glyph for a noncharacter, so this is the font's box.
  box = font.getmask('\uffff')
  return mask.getbbox() is not None and (
    mask.size != box.size or bytes(mask) != bytes(box)
  )


def pool_for(key: str, char: str) -> tuple[tuple[Hand, ...], Motion]:
  """Returns the hands and the motion for one shape of a source."""
  if key == 'Kd':
    hands, motion = KANNADA_HANDS, KANNADA_MOTION
  elif key in ('Km', 'K49'):
    hands, motion = KANA_HANDS, KANA_MOTION
  elif key == 'N':
    hands, motion = TYPE_HANDS, TYPE_MOTION
  elif char in DIGITS:
    hands, motion = DIGIT_HANDS, DIGIT_MOTION
  else:
    hands, motion = LETTER_HANDS, LETTER_MOTION
  return tuple(hand for hand in hands if char not in hand.skip), motion


def draw_glyph(
  hand: Hand, char: str, outline: bool, rng: np.random.Generator
) -> Image.Image:
  """Draws one shape, large, light on dark, cropped to its ink.

  Args:
    hand: The font, and the range of widths to add to its strokes.
    char: The shape.
    outline: Whether to keep the contour alone, as decorative type does.
    rng: Source of the stroke's width.

  Returns:
    The picture.
  """
  font = load_font(hand.font)
  width = int(rng.integers(hand.thin, hand.thick + 1))
  image = Image.new('L', (3 * FONT_PX, 3 * FONT_PX))
  draw = ImageDraw.Draw(image)
  place = (FONT_PX, FONT_PX // 2)
  if outline:
    draw.text(place, char, font=font, fill=255, stroke_width=width + 5)
    draw.text(place, char, font=font, fill=0)
  else:
    draw.text(place, char, font=font, fill=255, stroke_width=width)
  return image.crop(image.getbbox())


# --------------------------------------------------------------- silhouettes


def mirrored(half: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
  """Completes the left half of an outline, top to bottom, by its mirror."""
  return [*half, *((SIDE - x, y) for x, y in reversed(half))]


def bar(
  start: tuple[float, float], end: tuple[float, float], width: float
) -> list[tuple[float, float]]:
  """Returns the corners of a straight bar."""
  (x0, y0), (x1, y1) = start, end
  length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-6)
  dx = (y1 - y0) / length * width / 2
  dy = (x0 - x1) / length * width / 2
  return [
    (x0 + dx, y0 + dy),
    (x1 + dx, y1 + dy),
    (x1 - dx, y1 - dy),
    (x0 - dx, y0 - dy),
  ]


def oval(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
  """Returns an ellipse as a polygon."""
  angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
  return [
    (x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles
  ]


def draw_tshirt(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """Short wide sleeves and a round neck."""
  body, sleeve = rng.uniform(6.2, 7.2), rng.uniform(9.5, 12.0)
  pen(
    mirrored(
      [
        (14 - 3, 2),
        (6.5, 3.5),
        (0.8, sleeve),
        (4.4, sleeve + 2.6),
        (14 - body, 10),
        (14 - body, 26.5),
      ]
    ),
    tone,
  )
  pen(oval(14, 2, rng.uniform(2.6, 3.4), rng.uniform(2.0, 3.4)), 0)
  if rng.random() < 0.4:  # A print on the chest.
    pen(oval(14, 13, 3, rng.uniform(2, 3)), tone * 0.55)


def draw_trouser(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """Two long legs below a waistband."""
  hip, foot = rng.uniform(4.6, 5.6), rng.uniform(2.8, 4.2)
  crotch, gap = rng.uniform(8, 10), rng.uniform(0.5, 1.1)
  for sign in (-1, 1):
    pen(
      [
        (14 - sign * 0.1, 1),
        (14 + sign * (hip - 0.7), 1),
        (14 + sign * hip, 8),
        (14 + sign * (gap + foot + 0.6), 27),
        (14 + sign * (gap + 0.6), 27),
        (14 + sign * 0.2, crotch),
      ],
      tone,
    )
  pen(bar((14 - hip, 1.6), (14 + hip, 1.6), 1.2), tone * 0.6)


def draw_pullover(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """Long hanging sleeves, a closed front, ribs at cuffs and hem."""
  body, sleeve = rng.uniform(6.2, 7.0), rng.uniform(24, 25.5)
  pen(
    mirrored(
      [
        (11, 2),
        (6.8, 3.2),
        (3.6, 8),
        (0.8, sleeve),
        (4.4, sleeve + 0.6),
        (14 - body, 11),
        (14 - body, 26.5),
      ]
    ),
    tone,
  )
  pen(oval(14, 2, 3.4, 1.8), tone * 0.55)  # The neck's rib,
  pen(oval(14, 1.4, 2.4, 1.2), 0)  # and the neck in it.
  pen(bar((14 - body, 25.6), (14 + body, 25.6), 1.8), tone * 0.6)
  for sign in (-1, 1):
    pen(
      bar((14 + sign * 13.2, sleeve - 0.6), (14 + sign * 9.5, sleeve), 1.8),
      tone * 0.6,
    )
    pen(  # The shade between sleeve and body.
      bar((14 + sign * body, 11), (14 + sign * (body + 0.6), 16), 0.5), 0
    )


def draw_dress(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """Two straps, a narrow waist, a flared skirt."""
  waist, skirt = rng.uniform(2.6, 3.4), rng.uniform(6.2, 8.8)
  line = rng.uniform(10, 12)
  pen(
    mirrored(
      [
        (14 - 3.4, 5),
        (14 - 4, 7),
        (14 - waist, line),
        (14 - skirt, 27),
      ]
    ),
    tone,
  )
  pen(oval(14, 5, 1.5, 1.5), 0)
  for sign in (-1, 1):
    pen(bar((14 + sign * 2.6, 1), (14 + sign * 2.9, 6), 1.1), tone)
  if rng.random() < 0.6:  # A belt.
    pen(bar((14 - waist, line), (14 + waist, line), 1.2), tone * 0.45)


def draw_coat(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """A long body, open in front, with lapels and pockets."""
  hem, sleeve = rng.uniform(7.4, 8.8), rng.uniform(18, 20)
  pen(
    mirrored(
      [
        (11, 1.5),
        (7.5, 2.6),
        (4.8, 7),
        (2.0, sleeve),
        (5.4, sleeve + 1),
        (7.8, 10),
        (14 - hem, 27),
      ]
    ),
    tone,
  )
  pen([(13.6, 11), (14.4, 11), (15.2, 27.4), (12.8, 27.4)], 0)
  pen([(11.4, 1), (16.6, 1), (14, 11)], 0)
  for sign in (-1, 1):
    pen(  # Lapels.
      [
        (14 + sign * 3, 1.2),
        (14 + sign * 4.6, 6.5),
        (14 + sign * 0.4, 11.5),
      ],
      tone * 0.62,
    )
    pen(bar((14 + sign * 3, 19), (14 + sign * 5.6, 18.2), 1.1), tone * 0.45)
  if rng.random() < 0.4:
    pen(bar((8.4, 14.5), (19.6, 14.5), 1.3), tone * 0.5)


def draw_sandal(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """A sole with a heel, and straps with air between them."""
  heel = rng.uniform(15, 18)
  sole = [
    (0.8, 22.4),
    (9, 21.6),
    (17, heel + 1.6),
    (26.6, heel),
    (27.2, heel + 2),
    (25.8, 24.6),
    (23.2, 24.6),
    (22.2, heel + 3.4),
    (12, 24),
    (1, 24.4),
  ]
  pen(sole, tone)
  for x in (4.6, 9.2):  # Over the toes and the instep.
    width = rng.uniform(1.2, 1.9)
    pen(bar((x - 2.2, 22), (x + 1.2, 16.6), width), tone * 0.9)
    pen(bar((x + 1.2, 16.6), (x + 4, 21.4), width), tone * 0.75)
  ankle = rng.uniform(6.6, 9)
  pen(bar((25.8, heel + 0.5), (25.2, ankle), 1.5), tone)
  pen(bar((25.6, ankle + 0.4), (15.6, ankle + 3), 1.4), tone * 0.85)
  pen(bar((15.6, ankle + 3), (13, 21), 1.4), tone * 0.85)


def draw_shirt(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """A collar with points, a row of buttons, a pocket, a curved hem."""
  body, sleeve = rng.uniform(5.8, 6.6), rng.uniform(19.5, 22)
  pen(
    mirrored(
      [
        (11.5, 2.6),
        (7, 4),
        (3.4, 9),
        (0.2, sleeve),
        (3.2, sleeve + 1.4),
        (7.8, 12),
        (14 - body, 22.5),
        (10.5, 26.8),
      ]
    ),
    tone,
  )
  pen(bar((14, 5), (14, 26.6), 1.9), tone * 0.5)
  for y in range(8, 26, 4):
    pen(oval(14, y, 0.75, 0.75), 255)
  pen([(12, 1), (16, 1), (14, 5)], 0)
  for sign in (-1, 1):
    pen(
      [
        (14 + sign * 1.8, 0.6),
        (14 + sign * 4.6, 2.8),
        (14 + sign * 3.2, 7),
        (14 + sign * 0.1, 4.8),
      ],
      min(255, tone * 1.35),
    )
  pen([(16.2, 10), (19.4, 10), (19.4, 14), (16.2, 14)], tone * 0.62)


def draw_sneaker(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """A low shoe with laces on a bright, even sole."""
  collar, tongue = rng.uniform(9, 11), rng.uniform(9.4, 11)
  pen(
    [
      (0.8, 21),
      (1.6, 17.6),
      (6, 15.8),
      (13.6, tongue),
      (16.2, tongue - 1),
      (17.6, collar + 2),
      (23, collar + 1.6),
      (26.8, collar - 0.4),
      (27, 21),
    ],
    tone,
  )
  sole = [(0.4, 20), (27.4, 20), (27.2, 23.4), (26, 24), (1.4, 24), (0.4, 23)]
  pen(sole, min(255, tone * 1.5))
  pen(bar((0.6, 20.2), (27.2, 20.2), 0.6), tone * 0.3)
  for x in (8.6, 10.9, 13.2):
    y = 15.8 - (x - 6) / 7.6 * (15.8 - tongue)
    pen(bar((x - 0.4, y - 0.3), (x + 1.6, y + 2.6), 0.9), 255)
  stripe = rng.uniform(17, 20)
  pen(bar((stripe - 2, 19.8), (stripe + 2, 14), 1.6), tone * 0.4)


def draw_bag(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """A broad body below an arched handle."""
  top, side = rng.uniform(11, 13.5), rng.uniform(10.5, 12.8)
  reach, rise = rng.uniform(5.5, 8), rng.uniform(8, 10)
  pen(oval(14, top, reach, rise), tone * 0.8)
  pen(oval(14, top, reach - 1.7, rise - 1.7), 0)
  pen(
    mirrored([(14 - side + 1, top), (14 - side, top + 1.5), (14 - side, 26)]),
    tone,
  )
  flap = rng.uniform(4, 6)
  pen(bar((14 - side, top + flap), (14 + side, top + flap), 0.7), tone * 0.4)
  pen(oval(14, top + flap, 1.5, 1.5), 255)


def draw_boot(pen: Pen, tone: float, rng: np.random.Generator) -> None:
  """A shaft over the ankle, a foot, a sole with a heel."""
  shaft, instep = rng.uniform(1.2, 3), rng.uniform(14, 16)
  pen(
    [
      (rng.uniform(12.2, 13.4), shaft),
      (24.4, shaft),
      (24.0, 10),
      (25.6, 23),
      (1.2, 23),
      (1.0, 20),
      (4, 18),
      (9.5, instep),
      (12.6, 11.5),
    ],
    tone,
  )
  pen(
    [
      (0.8, 22.2),
      (25.8, 22.2),
      (25.6, 26.8),
      (19.6, 26.8),
      (18.8, 24.2),
      (1, 24.2),
    ],
    tone * 0.5,
  )
  if rng.random() < 0.5:  # The elastic of a Chelsea boot,
    pen([(16, shaft + 2), (20.4, shaft + 2), (18.4, 13)], tone * 0.45)
  else:  # or laces.
    for y in (7, 9.5, 12, 14.2):
      x = 12.4 - max(0, y - 11) * 0.9
      pen(bar((x, y), (x + 3.2, y + 0.9), 0.9), min(255, tone * 1.5))


DRAW_GARMENT = dict(
  zip(
    GARMENTS,
    (
      draw_tshirt,
      draw_trouser,
      draw_pullover,
      draw_dress,
      draw_coat,
      draw_sandal,
      draw_shirt,
      draw_sneaker,
      draw_bag,
      draw_boot,
    ),
    strict=True,
  )
)


def weave(size: int, rng: np.random.Generator) -> np.ndarray:
  """Returns a fabric: shares of light with folds and perhaps a pattern."""
  y, x = np.mgrid[0:size, 0:size] / size * SIDE
  folds = np.sin(x * rng.uniform(0.5, 1.1) + y * rng.uniform(-0.15, 0.15))
  light = 0.9 + 0.08 * folds + 0.04 * (14 - y) / 14
  kind = rng.random()
  period = rng.uniform(3.2, 5.0)
  if kind < 0.2:  # Stripes across,
    light = light * np.where(y % period < period / 2, 1, 0.7)
  elif kind < 0.3:  # checks.
    bands = (y % period < period / 2).astype(float) + (x % period < period / 2)
    light = light * (0.7 + 0.15 * bands)
  return light


def draw_garment(name: str, rng: np.random.Generator) -> Image.Image:
  """Draws one piece of Fashion-MNIST, large, cropped to its outline."""
  size = SIDE * PEN
  image = Image.new('L', (size, size))
  draw = ImageDraw.Draw(image)

  def pen(points: Sequence[tuple[float, float]], gray: float) -> None:
    draw.polygon([(x * PEN, y * PEN) for x, y in points], fill=int(gray))

  DRAW_GARMENT[name](pen, float(rng.uniform(125, 215)), rng)
  light = np.asarray(image, np.float64) * weave(size, rng)
  image = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
  return image.crop(image.getbbox())


# ------------------------------------------------------------ bend and store


def bend(
  image: Image.Image, motion: Motion, rng: np.random.Generator
) -> Image.Image:
  """Turns, shears, stretches and slightly warps a large picture."""
  angle = np.radians(rng.uniform(-motion.rotate, motion.rotate))
  shear = rng.uniform(-motion.shear, motion.shear)
  wide = rng.uniform(*motion.wide)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  matrix = turn @ np.array([[wide, shear], [0, 1]])
  width, height = image.size
  corners = matrix @ (
    np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]])
    * np.array([[width / 2], [height / 2]])
  )
  margin = 0.15 * max(width, height)
  reach = np.ceil(np.abs(corners).max(axis=1) + margin)

  # The picture is cut in 3 x 3 tiles whose shared corners move a little: no
  # stroke is torn, and no two strokes bend alike, as with a pen.
  cells = 3
  grid_x = np.linspace(-reach[0], reach[0], cells + 1)
  grid_y = np.linspace(-reach[1], reach[1], cells + 1)
  nodes = np.stack(np.meshgrid(grid_x, grid_y), axis=-1)
  origin = nodes @ np.linalg.inv(matrix).T
  origin += rng.normal(0, motion.wobble * max(width, height), origin.shape)
  origin += np.array([width / 2, height / 2])
  left = np.rint(grid_x + reach[0]).astype(int)
  top = np.rint(grid_y + reach[1]).astype(int)
  mesh = []
  for row in range(cells):
    for col in range(cells):
      quad = (
        origin[row, col],
        origin[row + 1, col],
        origin[row + 1, col + 1],
        origin[row, col + 1],
      )
      mesh.append(
        (
          (
            int(left[col]),
            int(top[row]),
            int(left[col + 1]),
            int(top[row + 1]),
          ),
          tuple(float(value) for point in quad for value in point),
        )
      )
  bent = image.transform(
    (int(left[-1]), int(top[-1])),
    Image.Transform.MESH,
    mesh,
    Image.Resampling.BILINEAR,
  )
  return bent.crop(bent.getbbox())


def shrink(
  image: Image.Image, motion: Motion, rng: np.random.Generator
) -> np.ndarray:
  """Fits a large picture into a small one of few gray levels."""
  scale = rng.uniform(*motion.side) * OVERSAMPLING / max(image.size)
  size = tuple(max(1, round(length * scale)) for length in image.size)
  full = SIDE * OVERSAMPLING
  x, y = (
    round(
      (full - length) / 2
      + rng.uniform(-motion.shift, motion.shift) * OVERSAMPLING
    )
    for length in size
  )
  canvas = Image.new('L', (full, full))
  canvas.paste(image.resize(size, Image.Resampling.BOX), (x, y))
  canvas = canvas.filter(ImageFilter.GaussianBlur(motion.blur * OVERSAMPLING))
  return np.asarray(canvas.reduce(OVERSAMPLING), np.float64)


def quantize(small: np.ndarray, stretch: bool) -> np.ndarray:
  """Rounds to `GRAY_STEP`, with ink stretched to full light if wanted."""
  if stretch:
    small = small * (255 / small.max())
  return (np.rint(small / GRAY_STEP) * GRAY_STEP).astype(np.uint8)


def draw_picture(
  key: str, shape: str, turn: int, rng: np.random.Generator
) -> np.ndarray:
  """Draws one picture.

  Args:
    key: The source's key.
    shape: A character, or the name of a garment.
    turn: How many of this shape came before; the hands take turns by it.
    rng: Source of all that varies.

  Returns:
    The upright picture.
  """
  if key == 'F':
    image, motion = draw_garment(shape, rng), FASHION_MOTION
  else:
    hands, motion = pool_for(key, shape)
    outline = key == 'N' and rng.random() < 0.12
    image = draw_glyph(hands[turn % len(hands)], shape, outline, rng)
  small = shrink(bend(image, motion, rng), motion, rng)
  return quantize(small, stretch=key != 'F')


def counts(source: Source, index: int) -> tuple[int, int]:
  """Returns the train and test pictures of a source's class."""
  if not source.spread:
    return source.train, source.test
  # A fixed pattern without order, since an ordered one would hide mistakes.
  more = index * 7 % (source.spread + 1)
  return source.train + more, source.test + more // 4


def draw_source(source: Source, seed: int) -> tuple[Split, Split]:
  """Draws the train and test pictures of a source, upright, shuffled."""
  rng = np.random.default_rng([SEED, seed])
  splits = ([], []), ([], [])
  for index, shapes in enumerate(source.classes):
    # A garment is one shape; a class of glyphs has one or both cases.
    options = (shapes,) if source.key == 'F' else tuple(shapes)
    for (images, labels), count in zip(
      splits, counts(source, index), strict=True
    ):
      for turn in range(count):
        shape = options[turn % len(options)]
        images.append(
          draw_picture(source.key, shape, turn // len(options), rng)
        )
        labels.append(source.first + index)
  shuffled = []
  for images, labels in splits:
    order = rng.permutation(len(labels))
    shuffled.append(
      (
        np.stack(images)[order],
        np.array(labels, np.uint8)[order],
      )
    )
  return shuffled[0], shuffled[1]


# -------------------------------------------------------------------- formats


def idx_bytes(array: np.ndarray) -> bytes:
  """Encodes pictures or labels as IDX."""
  magic = IDX_IMAGES_MAGIC if array.ndim == 3 else IDX_LABELS_MAGIC
  header = struct.pack(f'>{1 + array.ndim}I', magic, *array.shape)
  return header + np.ascontiguousarray(array).tobytes()


def gzip_bytes(data: bytes) -> bytes:
  """Compresses with neither time nor file name in the header."""
  buffer = io.BytesIO()
  with gzip.GzipFile('', 'wb', 9, buffer, mtime=0) as file:
    file.write(data)
  return buffer.getvalue()


def zip_bytes(members: Iterable[tuple[str, bytes]], compression: int) -> bytes:
  """Packs members in their order, with a fixed date and mode."""
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w') as archive:
    for name, data in members:
      info = zipfile.ZipInfo(name, ZIP_DATE)
      info.create_system = 3  # Unix, whatever runs this script.
      info.external_attr = 0o644 << 16
      archive.writestr(info, data, compression, 9)
  return buffer.getvalue()


def npz_bytes(array: np.ndarray) -> bytes:
  """Encodes one array as the `arr_0` of a compressed NPZ."""
  buffer = io.BytesIO()
  np.lib.format.write_array(buffer, np.ascontiguousarray(array), (1, 0))
  members = [('arr_0.npy', buffer.getvalue())]
  return zip_bytes(members, zipfile.ZIP_DEFLATED)


def mapping_bytes(source: Source) -> bytes:
  """Encodes EMNIST's table of raw labels and the characters they stand for."""
  rows = []
  for index, shapes in enumerate(source.classes):
    # Only Letters lists both cases; the merged tables name the first alone.
    codes = [ord(c) for c in shapes] if source.key == 'El' else [ord(shapes[0])]
    rows.append(' '.join(map(str, [source.first + index, *codes])) + '\r\n')
  return ''.join(rows).encode('ascii')


def emnist_bytes(drawn: dict[str, tuple[Split, Split]]) -> bytes:
  """Encodes EMNIST's six sets as its archive of IDX files."""
  by_key = {source.key: source for source in SOURCES}
  members = []
  for name, key in EMNIST_SETS.items():
    stem = f'gzip/emnist-{name}'
    members.append((f'{stem}-mapping.txt', mapping_bytes(by_key[key])))
    for split, (images, labels) in zip(
      ('train', 'test'), drawn[key], strict=True
    ):
      # EMNIST's files hold every picture with rows and columns swapped.
      pixels = gzip_bytes(idx_bytes(images.transpose(0, 2, 1)))
      members.append((f'{stem}-{split}-images-idx3-ubyte.gz', pixels))
      members.append(
        (
          f'{stem}-{split}-labels-idx1-ubyte.gz',
          gzip_bytes(idx_bytes(labels)),
        )
      )
  # The members are compressed already.
  return zip_bytes(members, zipfile.ZIP_STORED)


def encode(drawn: dict[str, tuple[Split, Split]]) -> dict[str, bytes]:
  """Encodes all sources.

  Args:
    drawn: Train and test split of every source, upright, by key.

  Returns:
    The bytes of every file, by path below the output folder.
  """
  files = {'emnist/gzip.zip': emnist_bytes(drawn)}
  for key, folder in (('F', 'fashion_mnist'), ('N', 'notmnist')):
    for split, (images, labels) in zip(
      ('train', 't10k'), drawn[key], strict=True
    ):
      stem = f'{folder}/{split}'
      files[f'{stem}-images-idx3-ubyte.gz'] = gzip_bytes(idx_bytes(images))
      files[f'{stem}-labels-idx1-ubyte.gz'] = gzip_bytes(idx_bytes(labels))
  for split, (images, labels) in zip(
    ('train', 'test'), drawn['Kd'], strict=True
  ):
    stem = f'kannada_MNIST_{split}.npz'
    files[f'kannada_mnist/X_{stem}'] = npz_bytes(images)
    files[f'kannada_mnist/y_{stem}'] = npz_bytes(labels)
  for key, stem in (('Km', 'kmnist/kmnist'), ('K49', 'kuzushiji49/k49')):
    for split, (images, labels) in zip(
      ('train', 'test'), drawn[key], strict=True
    ):
      files[f'{stem}-{split}-imgs.npz'] = npz_bytes(images)
      files[f'{stem}-{split}-labels.npz'] = npz_bytes(labels)
  files['README.md'] = readme(drawn).encode()
  return files


def readme(drawn: dict[str, tuple[Split, Split]]) -> str:
  """Writes what the sample is, for whoever finds it on a disk."""
  packages = {}
  for font in FONTS.values():
    packages[font.package] = font.license
  lines = [
    '# A synthetic sample, not CMNIST',
    '',
    'These files have the names and formats of the eleven sources of CMNIST.',
    'A reader recognizes the class of each picture, but the script',
    '`scripts/draw_sample.py` drew all of them from open fonts and simple',
    'outlines. No picture comes from EMNIST, Fashion-MNIST, Kannada-MNIST,',
    'KMNIST, Kuzushiji-49 or notMNIST. Use the files for tests and',
    'tutorials. A score on them says nothing about CMNIST. Do not edit the',
    'files; change the script and run it.',
    '',
    '| source | classes | train | test | train per class | test per class |',
    '|---|---|---|---|---|---|',
  ]
  for source in SOURCES:
    sizes = [len(labels) for _, labels in drawn[source.key]]
    row = [source.key, len(source.classes), *sizes]
    for _number, (_, labels) in enumerate(drawn[source.key]):
      per_class = np.bincount(labels)[source.first :]
      low, high = per_class.min(), per_class.max()
      row.append(str(low) if low == high else f'{low} to {high}')
    lines.append('| ' + ' | '.join(map(str, row)) + ' |')
  lines += [
    '',
    'As in the real files, the pictures of EMNIST are stored transposed, the',
    'labels of EMNIST Letters start at 1, and Em, Ec and K49 are unbalanced.',
    'Every picture has 28 x 28 pixels of 16 gray levels. No picture occurs',
    'twice.',
    '',
    'The script turned, sheared, stretched, thickened and bent each glyph at',
    f'random (seed {SEED}). These are the fonts, by Debian package, with',
    'their licenses:',
    '',
  ]
  lines += [f'- {name}: {packages[name]}' for name in sorted(packages)]
  lines += [
    '',
    'The fonts are not included. The pictures are under the license of this',
    'project, Apache-2.0.',
    '',
    f'Drawn with NumPy {np.__version__}, Pillow {Image.__version__},',
    f'zlib {zlib.ZLIB_RUNTIME_VERSION}.',
    '',
  ]
  return '\n'.join(lines)


# --------------------------------------------------------------------- checks


def missing_fonts() -> list[str]:
  """Returns the Debian packages whose fonts are not installed."""
  return sorted(
    {
      font.package
      for font in FONTS.values()
      if not (FONT_ROOT / font.path).is_file()
    }
  )


def missing_glyphs() -> list[str]:
  """Returns what the fonts cannot draw, as lines to print."""
  lines = []
  for source in SOURCES:
    if source.key == 'F':
      continue
    for char in sorted(set(''.join(source.classes))):
      hands, _ = pool_for(source.key, char)
      lines += [
        f'{hand.font} has no glyph for {char!r}.'
        for hand in hands
        if not has_glyph(hand.font, char)
      ]
  return sorted(set(lines))


def faults(drawn: dict[str, tuple[Split, Split]]) -> list[str]:
  """Returns what is wrong with the drawn sources, as lines to print."""
  lines = []
  seen = {}
  for source in SOURCES:
    labels_wanted = set(range(source.first, source.first + len(source.classes)))
    for split, (images, labels) in zip(
      ('train', 'test'), drawn[source.key], strict=True
    ):
      where = f'{source.key}/{split}'
      if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        lines.append(f'{where}: {images.dtype} {images.shape}.')
      if set(labels.tolist()) != labels_wanted:
        lines.append(f'{where}: a class is missing.')
      for number, image in enumerate(images):
        pixels = image.tobytes()
        if not any(pixels):
          lines.append(f'{where} {number}: blank.')
        if pixels in seen:
          lines.append(f'{where} {number}: the same as {seen[pixels]}.')
        seen[pixels] = f'{where} {number}'
  return lines


def main(argv: Sequence[str] | None = None) -> int:
  """Draws the sample and returns the exit code."""
  default = pathlib.Path(__file__).resolve().parents[1] / 'dummy_data'
  parser = argparse.ArgumentParser(
    description='Draws the synthetic sample of the eleven sources.'
  )
  parser.add_argument(
    'folder',
    nargs='?',
    type=pathlib.Path,
    default=default,
    help='where to write the files (default: dummy_data of the project)',
  )
  folder = parser.parse_args(argv).folder

  packages = missing_fonts()
  if packages:
    print('Fonts are missing. Install them with:', file=sys.stderr)
    print(
      '  apt-get install --no-install-recommends ' + ' '.join(packages),
      file=sys.stderr,
    )
    return 1
  lines = missing_glyphs()
  if lines:
    print('\n'.join(lines), file=sys.stderr)
    return 1

  drawn = {
    source.key: draw_source(source, seed) for seed, source in enumerate(SOURCES)
  }
  files = encode(drawn)
  total = sum(map(len, files.values()))
  lines = faults(drawn)
  if total > MAX_BYTES:
    lines.append(f'{total:,} bytes in all, more than {MAX_BYTES:,}.')
  if lines:
    print('\n'.join(lines), file=sys.stderr)
    return 1

  try:
    for name, data in files.items():
      path = folder / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(data)
  except OSError as error:
    print(f'Cannot write the sample: {error}', file=sys.stderr)
    return 1
  print(f'{len(files)} files, {total:,} bytes, in {folder}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
