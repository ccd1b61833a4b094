# SPDX-License-Identifier: Apache-2.0
"""Pictures: nothing overlaps, similar classes are found, formats agree."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import itertools
import os
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFont

from cmnist_tfds import cli, origin, subsets
from cmnist_tfds.figures import (
  histogram,
  montage,
  pair_grid,
  pictures,
  raster,
  similarity,
  svg,
)
from cmnist_tfds.figures.drawing import DARK, LIGHT, Drawing, Text, Tile
from cmnist_tfds.sources import SOURCES, registry
from cmnist_tfds.system import resources
from cmnist_tfds.system.errors import PreparationError

_PROGRAMS = pathlib.Path(__file__).parent / 'programs'
_SVG = '{http://www.w3.org/2000/svg}'
_SAMPLE = origin.Locations(manual_dir=resources.folder('dummy_data'))
_NAMES = ('X-12', '2-FKd', '1-Km', '3-EElKm', '4-EcFKdK49', '5-EdFKdK49N')


def _examples(name: str, count: int) -> list[list[np.ndarray]]:
  """Returns the first sample images of each class, from the origin files."""
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
  pairs = similarity.find_pairs(subset, images, 24)
  title = f'cmnist/{name}'
  return [
    montage.draw_montage(subset, [few[:3] for few in images], title),
    histogram.draw_histogram(subset, counts, title),
    pair_grid.draw_pairs(subset, pairs, title),
  ]


def _box(mark: Text | Tile) -> tuple[float, float, float, float]:
  """Returns left, top, right and bottom of the pixels that a mark covers."""
  if isinstance(mark, Tile):
    return mark.x, mark.y, mark.x + mark.size, mark.y + mark.size
  left, top, right, bottom = _extent(dataclasses.replace(mark, x=0, y=0))
  return mark.x + left, mark.y + top, mark.x + right, mark.y + bottom


@functools.cache
def _extent(text: Text) -> tuple[int, int, int, int]:
  """Returns the pixels that a text at x=0, y=0 covers, as it is drawn."""
  x, y = 1000, 50
  moved = dataclasses.replace(text, x=x, y=y)
  image = raster.to_image(Drawing(2 * x, 2 * y, '', [moved]), LIGHT)
  inverted = ImageChops.invert(image.convert('L'))
  left, top, right, bottom = inverted.getbbox()
  return left - x, top - y, right - x, bottom - y


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
    root = ElementTree.fromstring(svg.to_svg(drawing, DARK))
    texts = [mark.text for mark in drawing.marks if isinstance(mark, Text)]
    tiles = [mark for mark in drawing.marks if isinstance(mark, Tile)]
    assert [element.text for element in root.iter(f'{_SVG}text')] == texts
    assert len(list(root.iter(f'{_SVG}image'))) == len(tiles)
    picture = raster.to_image(drawing, DARK)
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


def test_a_histogram_shows_which_numbers_are_not_known():
  subset = subsets.subset('2-EcF')
  counts = [histogram.Counts(c.train, c.test) for c in subset.classes]
  drawing = histogram.draw_histogram(subset, counts, 'x')
  texts = [mark.text for mark in drawing.marks if isinstance(mark, Text)]
  assert texts.count('? / ?') == 62
  assert texts.count('6,000 / 1,000') == 10


def test_0_and_O_and_kannada_0_are_found():
  subset = subsets.subset('4-EElFKd')
  found = similarity.find_pairs(subset, _examples('4-EElFKd', 60), 5)
  names = [{c.name for c in pair.classes} for pair in found]
  for pair in ({'0', 'O'}, {'0', '೦'}, {'O', '೦'}):
    assert pair in names
  similarities = [pair.similarity for pair in found]
  assert similarities == sorted(similarities, reverse=True)
  assert all(a.source is not b.source for a, b in (p.classes for p in found))


def test_the_command_shows_that_0_and_O_and_kannada_0_look_alike(tmp_path):
  data = ('--sample', '--data_dir', str(tmp_path))
  assert cli.main(['build', '3-EElKd', *data]) == 0
  picture = tmp_path / 'alike.svg'
  arguments = ['show', '3-EElKd', '--confusable', '-o', str(picture), *data]
  assert cli.main(arguments) == 0
  root = ElementTree.parse(picture).getroot()
  # After two lines of heading, each pair is a name, a key, a name, a key and a
  # similarity.
  texts = [element.text for element in root.iter(f'{_SVG}text')][2:]
  drawn = [
    set(zip(texts[i : i + 3 : 2], texts[i + 1 : i + 4 : 2], strict=True))
    for i in range(0, len(texts), 5)
  ]
  assert len(drawn) == pair_grid.PAIRS
  same = [('0', 'E'), ('O', 'El'), ('೦', 'Kd')]
  for pair in itertools.combinations(same, 2):
    assert set(pair) in drawn[:3]


def test_equal_images_have_similarity_1_and_blank_images_0():
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
  found = similarity.find_pairs(subset, images, 100)
  assert len(found) == 100
  assert [c.label for c in found[0].classes] == [4, 11]
  assert found[0].similarity == pytest.approx(1)
  assert found[1].similarity == 0
  # The proportions of the ink make little difference.
  images[11] = [tall]
  assert similarity.find_pairs(subset, images, 1)[0].similarity > 0.9


def test_one_source_has_no_pairs():
  subset = subsets.subset('1-Km')
  assert similarity.find_pairs(subset, _examples('1-Km', 3), 9) == []


@pytest.mark.parametrize('suffix', pictures.SUFFIXES)
def test_light_and_dark_files(tmp_path: pathlib.Path, suffix):
  drawing = _drawings('X-12')[0]
  for dark, theme in ((False, LIGHT), (True, DARK)):
    path = tmp_path / f'{theme.paper}{suffix}'
    pictures.save(drawing, path, dark=dark)
    if suffix == '.svg':
      assert f'fill="{theme.paper}"' in path.read_text(encoding='utf-8')
    else:
      with Image.open(path) as picture:
        corner = '#' + bytes(picture.getpixel((0, 0))).hex()
        assert corner == theme.paper
  assert len(list(tmp_path.iterdir())) == 2


def test_other_formats_are_refused(tmp_path: pathlib.Path):
  with pytest.raises(
    PreparationError, match=r"expected a \.png or \.svg file, .* '\.jpg'"
  ):
    pictures.save(Drawing(9, 9, '', []), tmp_path / 'x.jpg', dark=False)


def test_without_pillow_png_is_refused_and_svg_written(
  tmp_path: pathlib.Path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'PIL', None)
  monkeypatch.delitem(sys.modules, 'cmnist_tfds.figures.raster')
  monkeypatch.delattr('cmnist_tfds.figures.raster')
  drawing = Drawing(9, 9, '', [])
  with pytest.raises(PreparationError, match=r'PIL.*cmnist_tfds\[figures\]'):
    pictures.save(drawing, tmp_path / 'x.png', dark=False)
  pictures.save(drawing, tmp_path / 'x.svg', dark=False)
  assert [path.name for path in tmp_path.iterdir()] == ['x.svg']


def _draw_without_installed_fonts(path, text):
  return subprocess.run(
    [sys.executable, _PROGRAMS / 'draw_without_fonts.py', path, text],
    # Without PATH, fontconfig finds no fonts either.
    env={**os.environ, 'PATH': '', 'PYTHONPATH': str(_PROGRAMS.parent.parent)},
    capture_output=True,
    text=True,
    encoding='utf-8',
    check=True,
  )


def test_every_class_name_is_drawn_without_installed_fonts(tmp_path):
  keys = [s.key for s in SOURCES]
  keys += [r.source.key for r in registry.registry().registered]
  # A thousand kanji would make the font many times as large.
  keys.remove('Kk')
  names = [c.name for key in keys for c in subsets.subset(f'1-{key}').classes]
  text = ''.join(sorted(set(''.join(names))))
  assert {*'あ೦০०౦'} < set(text)
  done = _draw_without_installed_fonts(tmp_path / 'x.png', text)
  assert done.stdout == text
  assert done.stderr == ''


def test_other_characters_are_code_points_with_one_warning(tmp_path):
  done = _draw_without_installed_fonts(tmp_path / 'x.png', '漢字')
  assert done.stdout == 'U+6F22U+5B57'
  assert done.stderr.count('No font has the characters') == 1
  with Image.open(tmp_path / 'x.png') as image:
    assert image.getextrema() != ((255, 255),) * 3


def test_svg_files_carry_the_font(tmp_path):
  drawing = Drawing(9, 9, '', [Text(0, 0, 'あ', 9)])
  pictures.save(drawing, tmp_path / 'x.svg', dark=False)
  svg_file = (tmp_path / 'x.svg').read_text('utf-8')
  (encoded,) = re.findall('data:font/woff;base64,([^)]*)', svg_file)
  font = ImageFont.truetype(io.BytesIO(base64.b64decode(encoded)), 20)
  assert font.getname() == ('CMNIST Class Names', 'Regular')
  assert 'CMNIST Class Names' in svg_file.split('<text')[0].split('<style')[0]


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
    # The contrast that WCAG 2 requires of text and of graphics.
    wanted = 4.5 if color in ('ink', 'faint') else 3
    assert (high + 0.05) / (low + 0.05) >= wanted, (theme, color)
