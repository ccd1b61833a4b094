# SPDX-License-Identifier: Apache-2.0
"""Pictures: nothing overlaps, look-alikes turn up, both formats are whole."""

from __future__ import annotations

import itertools
import pathlib
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cmnist_tfds import cli, origin, resources, subsets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.figures import (
  confusable,
  fonts,
  histogram,
  montage,
  pictures,
  raster,
  svg,
)
from cmnist_tfds.figures.drawing import DARK, LIGHT, Drawing, Text, Tile

_SVG = '{http://www.w3.org/2000/svg}'
_SAMPLE = origin.Locations(manual_dir=resources.folder('dummy_data'))
_NAMES = ('X-12', '2-FKd', '1-Km', '3-EElKm', '4-EcFKdK49', '5-EdFKdK49N')


def _examples(name: str, count: int) -> list[list[np.ndarray]]:
  """The first sample images of each class, straight from the files."""
  images = []
  for source, raw_labels in subsets.subset(name).members:
    arrays = origin.load_split.load_split(
      source, 'train', _SAMPLE, allow_unverified=True
    )
    images += [
      list(arrays.images[subsets.rows(arrays.labels, [raw], count)])
      for raw in raw_labels
    ]
  return images


def _drawings(name: str) -> list[Drawing]:
  subset = subsets.subset(name)
  counts = [histogram.Counts(c.train, c.test) for c in subset.classes]
  images = _examples(name, 10)
  alike = confusable.pairs(subset, images, 24)
  title = f'cmnist/{name}'
  return [
    montage.montage(subset, [few[:3] for few in images], title),
    histogram.histogram(subset, counts, title),
    confusable.confusable(subset, alike, title),
  ]


def _box(mark: Text | Tile) -> tuple[float, float, float, float]:
  """Left, top, right, bottom of what a mark covers."""
  if isinstance(mark, Tile):
    return mark.x, mark.y, mark.x + mark.size, mark.y + mark.size
  text, font = fonts.written(mark.text, mark.size)
  return font.getbbox(text, anchor=raster._ANCHORS[mark.anchor]) + np.array(
    [mark.x, mark.y + raster._BASELINE * mark.size] * 2
  )


@pytest.mark.parametrize('name', _NAMES)
def test_nothing_overlaps_or_leaves_the_picture(name):
  for drawing in _drawings(name):
    marks = [m for m in drawing.marks if isinstance(m, Text | Tile)]
    boxes = np.array([_box(mark) for mark in marks])
    assert boxes.min() >= 0
    assert (boxes[:, 2] <= drawing.width).all(), drawing.title
    assert (boxes[:, 3] <= drawing.height).all(), drawing.title
    left, top, right, bottom = boxes.T
    overlap = (
      (left[:, None] < right)
      & (left < right[:, None])
      & (top[:, None] < bottom)
      & (top < bottom[:, None])
    )
    assert [
      (marks[i], marks[j]) for i, j in np.argwhere(overlap) if i < j
    ] == []


@pytest.mark.parametrize('name', ('X-12', '4-EcFKdK49'))
def test_both_formats_show_the_same(name):
  for drawing in _drawings(name):
    root = ElementTree.fromstring(svg.render(drawing, DARK))
    texts = [mark.text for mark in drawing.marks if isinstance(mark, Text)]
    tiles = [mark for mark in drawing.marks if isinstance(mark, Tile)]
    assert [element.text for element in root.iter(f'{_SVG}text')] == texts
    assert len(list(root.iter(f'{_SVG}image'))) == len(tiles)
    picture = raster.render(drawing, DARK)
    assert picture.size == (drawing.width, drawing.height)
    pixels = np.array(picture)
    for tile in tiles:
      x, y = round(tile.x), round(tile.y)
      shown = pixels[y : y + tile.size : 2, x : x + tile.size : 2, 0]
      np.testing.assert_array_equal(shown, tile.image)


def test_a_montage_names_every_class_and_source():
  subset = subsets.subset('4-EcFKdK49')
  drawing, _, _ = _drawings('4-EcFKdK49')
  texts = {mark.text for mark in drawing.marks if isinstance(mark, Text)}
  assert texts >= {c.name for c in subset.classes}
  assert any('Kuzushiji-49, 49' in text for text in texts)


def test_a_histogram_says_what_nobody_has_counted():
  subset = subsets.subset('2-EcF')
  counts = [histogram.Counts(c.train, c.test) for c in subset.classes]
  drawing = histogram.histogram(subset, counts, 'x')
  texts = [mark.text for mark in drawing.marks if isinstance(mark, Text)]
  assert texts.count('? / ?') == 62
  assert texts.count('6,000 / 1,000') == 10


def test_0_and_O_and_kannada_0_turn_up():
  subset = subsets.subset('4-EElFKd')
  found = confusable.pairs(subset, _examples('4-EElFKd', 60), 5)
  names = [{c.name for c in pair.classes} for pair in found]
  for pair in ({'0', 'O'}, {'0', '೦'}, {'O', '೦'}):
    assert pair in names
  likeness = [pair.likeness for pair in found]
  assert likeness == sorted(likeness, reverse=True)
  assert all(a.source is not b.source for a, b in (p.classes for p in found))


def test_the_command_shows_that_0_and_O_and_kannada_0_look_alike(tmp_path):
  data = ('--sample', '--data_dir', str(tmp_path))
  assert cli.main(['build', '3-EElKd', *data]) == 0
  picture = tmp_path / 'alike.svg'
  arguments = ['show', '3-EElKd', '--confusable', '-o', str(picture), *data]
  assert cli.main(arguments) == 0
  root = ElementTree.parse(picture).getroot()
  # After two lines of heading each pair is a name, a key, a name, a key and
  # its likeness.
  texts = [element.text for element in root.iter(f'{_SVG}text')][2:]
  drawn = [
    set(zip(texts[i : i + 3 : 2], texts[i + 1 : i + 4 : 2], strict=True))
    for i in range(0, len(texts), 5)
  ]
  assert len(drawn) == confusable.PAIRS
  same = [('0', 'E'), ('O', 'El'), ('೦', 'Kd')]
  for pair in itertools.combinations(same, 2):
    assert set(pair) in drawn[:3]


def test_equal_examples_are_wholly_alike_and_blank_ones_not_at_all():
  subset = subsets.subset('2-FKd')
  image = np.zeros((28, 28), np.uint8)
  image[3:13, 5:20] = 200
  image[6:10, 9:20] = 0
  tall = np.zeros((28, 28), np.uint8)
  tall[3:23, 5:20] = 200
  tall[9:17, 9:20] = 0
  images = [[np.full((28, 28), 255, np.uint8)]] * 20
  images[4] = [image]
  images[11] = [image]
  found = confusable.pairs(subset, images, 100)
  assert len(found) == 100
  assert [c.label for c in found[0].classes] == [4, 11]
  assert found[0].likeness == pytest.approx(1)
  assert found[1].likeness == 0
  # Flat or tall is no difference.
  images[11] = [tall]
  assert confusable.pairs(subset, images, 1)[0].likeness > 0.9


def test_one_source_has_no_pairs():
  assert confusable.pairs(subsets.subset('1-Km'), _examples('1-Km', 3), 9) == []


@pytest.mark.parametrize('suffix', pictures.SUFFIXES)
def test_light_and_dark_files(tmp_path: pathlib.Path, suffix):
  drawing = _drawings('X-12')[0]
  for dark, theme in ((False, LIGHT), (True, DARK)):
    path = tmp_path / f'{theme.paper}{suffix}'
    pictures.write(drawing, path, dark=dark)
    if suffix == '.svg':
      assert f'fill="{theme.paper}"' in path.read_text(encoding='utf-8')
    else:
      with Image.open(path) as picture:
        corner = '#' + bytes(picture.getpixel((0, 0))).hex()
        assert corner == theme.paper
  assert len(list(tmp_path.iterdir())) == 2


def test_other_formats_are_refused(tmp_path: pathlib.Path):
  with pytest.raises(
    PreparationError, match=r"\.png or \.svg files, not '\.jp"
  ):
    pictures.write(Drawing(9, 9, '', []), tmp_path / 'x.jpg', dark=False)


def test_without_pillow_png_is_refused_and_svg_written(
  tmp_path: pathlib.Path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'PIL', None)
  monkeypatch.delitem(sys.modules, 'cmnist_tfds.figures.raster')
  monkeypatch.delattr('cmnist_tfds.figures.raster')
  drawing = Drawing(9, 9, '', [])
  with pytest.raises(PreparationError, match=r'PIL.*cmnist_tfds\[figures\]'):
    pictures.write(drawing, tmp_path / 'x.png', dark=False)
  pictures.write(drawing, tmp_path / 'x.svg', dark=False)
  assert [path.name for path in tmp_path.iterdir()] == ['x.svg']


def test_without_fonts_code_points_stand_in_and_it_is_said_once(
  monkeypatch, caplog
):
  for cached in (fonts.font_for, fonts.written, fonts._say_fallback):
    cached.cache_clear()
  monkeypatch.setattr(fonts, '_files_with', lambda text: iter(()))
  with caplog.at_level('WARNING', logger='absl'):
    texts = [fonts.written(name, 14)[0] for name in 'あい೦']
  assert texts == ['U+3042', 'U+3044', 'U+0CE6']
  assert len(caplog.records) == 1
  for cached in (fonts.font_for, fonts.written, fonts._say_fallback):
    cached.cache_clear()


def test_themes_have_contrast():
  def luminance(color: str) -> float:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(
      parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
    )
    return float(linear @ [0.2126, 0.7152, 0.0722])

  for theme, color in itertools.product(
    (LIGHT, DARK), ('ink', 'faint', 'train', 'test')
  ):
    low, high = sorted(
      (luminance(theme.paper), luminance(getattr(theme, color)))
    )
    # What WCAG 2 asks of text, and of graphics.
    wanted = 4.5 if color in ('ink', 'faint') else 3
    assert (high + 0.05) / (low + 0.05) >= wanted, (theme, color)
