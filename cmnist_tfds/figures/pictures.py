# SPDX-License-Identifier: Apache-2.0
"""What all pictures share: their size, style, fonts and file formats.

Positions are in pixels, from the top left corner.
"""

from __future__ import annotations

import io
import math
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cmnist_tfds import subsets
from cmnist_tfds.system import atomic, streams
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import needs_extra

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Latin letters, kana, and the digits of all scripts that the sources have; made
# by scripts/make_font.py.
CLASS_NAMES_FONT = pathlib.Path(__file__).with_name('class_names.ttf')

MARGIN = 16
# The height of the title and the line below it.
TITLE_HEIGHT = 74

# The size of headings, in points.
HEADING = 12
# Longer text is cut in the middle.
_LEAST_SIZE = 6
# The style of secondary text.
FAINT: dict[str, Any] = {'alpha': 0.7}

# The pixels of CSS, so that a PNG and an SVG file have the same size.
_DPI = 96

_STYLE: dict[Any, Any] = {
  'svg.hashsalt': 'cmnist',
  'text.parse_math': False,
  # Text that is made smaller is as much narrower.
  'text.hinting': 'none',
  'lines.linewidth': 72 / _DPI,
}
# Of what is told apart, such as training and test examples.
_LIGHT = '#1967d2 #b85c00 #188038 #a142f4 #c5221f #00838f #5f6368 #c2185b'
_DARK = '#8ab4f8 #fcad70 #81c995 #d7aefb #f28b82 #78d9ec #bdc1c6 #ff8bcb'
# Of paper, text, lines, and of these; light, then dark.
_COLORS = (
  ('#ffffff', '#202124', '#dadce0', _LIGHT.split()),
  ('#17181b', '#e8eaed', '#3c4043', _DARK.split()),
)
_INKED = 'text.color axes.edgecolor axes.labelcolor xtick.color ytick.color'

# The supported formats, by file name suffix, and what their files must not
# tell, so that the same picture gives the same file.
_FORMATS = {'.png': {'Software': None}, '.svg': {'Date': None}}


def blank(
  width: int, height: int, title: str, subtitle: str = ''
) -> tuple[Figure, Axes]:
  """Returns a new figure, and axes in pixels that fill it."""
  from matplotlib.figure import Figure

  # A picture travels without the page that explains it.
  if title.startswith(subsets.SAMPLE):
    title += ' (synthetic)'
  figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, label=title)
  axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
  axes.set_axis_off()
  room = width - 2 * MARGIN
  write(axes, MARGIN, MARGIN + 15, title, 16.5, room=room)
  write(axes, MARGIN, MARGIN + 44, subtitle, HEADING, room=room, **FAINT)
  return figure, axes


def write(
  axes: Axes, x: float, y: float, text: str, size: float = 9, **style: Any
) -> None:
  """Writes text the middle of which is at y, from x unless `ha` is given.

  Args:
    axes: Where it is written.
    x: Where it begins.
    y: Where its middle is.
    text: The text.
    size: Its size in points.
    **style: Properties of a `matplotlib.text.Text`, and `room`, the greatest
      length in pixels: a longer text is written smaller, and then cut.
  """
  # Labels of texts are free, and `_choose_fonts` needs the room.
  style['label'] = style.pop('room', math.inf)
  # Fonts disagree about where the middle is above the baseline.
  axes.text(x, y + 0.47 * size, text, fontsize=size, **style)


def check_picture(path: pathlib.Path) -> None:
  """Checks, before any work, that `save` may write a file.

  Args:
    path: The file.

  Raises:
    PreparationError: If the suffix is not supported, the file cannot be
      written, something other than a regular file is at its place, or
      matplotlib is not installed.
  """
  if path.suffix.lower() not in _FORMATS:
    raise PreparationError(
      f'{path}: expected a {" or ".join(_FORMATS)} file, found the suffix'
      f' {path.suffix!r}. Choose another file name.'
    )
  atomic.check_file(path)
  with needs_extra('A picture', 'figures'):
    import matplotlib  # noqa: F401


def styled(draw: Callable[[], Figure], *, dark: bool = False) -> Figure:
  """Returns a figure in the style of this module, which notebooks show.

  Args:
    draw: Draws the figure.
    dark: Whether to draw in light colors on a dark background.

  Raises:
    MissingExtraError: If matplotlib is not installed.
  """
  with needs_extra('A picture', 'figures'):
    from matplotlib import style
    from matplotlib.collections import LineCollection

  paper, ink, line, told_apart = _COLORS[dark]
  colors = dict.fromkeys(('figure.facecolor', 'axes.facecolor'), paper)
  colors |= dict.fromkeys(_INKED.split(), ink) | {'lines.color': line}
  colors['axes.prop_cycle'] = f'cycler("color", {told_apart})'
  # Not the user's own style.
  with style.context(_STYLE | colors, after_reset=True):
    figure = draw()
    for lines in figure.findobj(LineCollection):
      # Else it would be that of the style in which the figure is saved.
      lines.set_color(lines.get_color())
    _choose_fonts(figure)
  # IPython asks for it, also where pyplot is not imported.
  figure._repr_png_ = lambda: _encoded(figure, 'png')  # type: ignore[attr-defined]
  return figure


def _encoded(figure: Figure, suffix: str, **options: Any) -> bytes:
  from matplotlib import style

  encoded = io.BytesIO()
  with style.context(_STYLE, after_reset=True):
    figure.savefig(encoded, format=suffix, **options)
  return encoded.getvalue()


def save(
  path: pathlib.Path, draw: Callable[[], Figure], *, dark: bool = False
) -> None:
  """Saves a picture as a file.

  Args:
    path: The file; its suffix, .png or .svg, selects the format. A regular file
      of that name is replaced.
    draw: Draws the figure, in the style of this module.
    dark: Whether to draw in light colors on a dark background.

  Raises:
    PreparationError: As `check_picture` does.
  """
  check_picture(path)
  suffix = path.suffix.lower()
  figure = styled(draw, dark=dark)
  metadata = {**_FORMATS[suffix], 'Title': figure.get_label()}
  atomic.write_file(path, _encoded(figure, suffix[1:], metadata=metadata))


def _choose_fonts(figure: Figure) -> None:
  """Gives each text the fonts that have its characters, and makes it fit.

  Characters that no font has are replaced by their code points.
  """
  from matplotlib import font_manager
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.text import Text

  texts = figure.findobj(Text)
  missing = {c for text in texts for c in text.get_text()}
  families: list[str] = []
  for path in (str(CLASS_NAMES_FONT), *sorted(font_manager.findSystemFonts())):
    font = font_manager.get_font(path)
    found = {c for c in missing if font.get_char_index(ord(c))}
    # Code points are written in the first.
    if found or not families:
      missing -= found
      font_manager.fontManager.addfont(path)
      families.append(font.family_name)
    if not missing:
      break
  # Or each text would make one, which takes far longer than drawing it.
  renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
  for text in texts:
    text.set_fontfamily(families)
    if not missing.isdisjoint(text.get_text()):
      text.set_text(' '.join(f'U+{ord(c):04X}' for c in text.get_text()))
    length = max(text.get_window_extent(renderer).size)
    size = float(text.get_fontsize())
    if length > (room := float(str(text.get_label() or math.inf))):
      text.set_fontsize(max(room / length * size, _LEAST_SIZE))
      if (share := room / length * size / _LEAST_SIZE) < 1:
        kept = max(int(len(shown := text.get_text()) * share / 2) - 2, 1)
        text.set_text(f'{shown[:kept]} ... {shown[-kept:]}')
  if missing:
    streams.LOG.warning(
      'No font has the characters of some class names; the picture shows their'
      ' code points instead. Install a font of their script, for example one of'
      ' the Noto Sans family.'
    )
