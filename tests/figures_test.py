# SPDX-License-Identifier: Apache-2.0
"""Pictures: nothing overlaps, similar classes are found, pixels are exact."""

from __future__ import annotations

import itertools
import pathlib
import re
import sys

import msgspec
import numpy as np
import pytest

pytest.importorskip('matplotlib')

from matplotlib import font_manager
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from PIL import Image

import cmnist_tfds
from cmnist_tfds import cli, subsets
from cmnist_tfds.figures import (
  confusion_matrix,
  histogram,
  montage,
  pictures,
  reliability,
  similarity,
)
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sources import SOURCES, registry
from cmnist_tfds.system.errors import MissingExtraError

_NAMES = ('X-12', '1-Km', '2-FKd', '4-EcFKdK49', '5-EdFKdK49N')


@pytest.fixture(scope='module')
def examples(tmp_path_factory):
  """Returns the first images of each class of the sample."""
  data_dir = tmp_path_factory.mktemp('data')

  def read(name: str, count: int) -> list[list[np.ndarray]]:
    subset = subsets.subset(name)
    opened = open_subset(subset, data_dir=data_dir, sample=True)
    return first_of_each_class(opened, count)

  return read


def _long_names() -> subsets.Subset:
  """Returns a subset whose names, and those of its sources, are long."""
  names = [f'Ankle boots and other shoes {n}' for n in range(9)]
  title = 'A source with a title longer than any line of a picture' * 3
  sources = []
  for letter in 'AB':
    named = (*(f'{letter} {name}' for name in names), f'漢字の名前{letter}')
    long = {'key': f'Long{letter}', 'title': title, 'class_names': named}
    sources.append(msgspec.structs.replace(SOURCES[6], **long))
  return subsets.combine(*sources)


def _figures(name: str, examples) -> dict:
  is_long = name == 'long names'
  subset = _long_names() if is_long else subsets.subset(name)
  images = examples('2-FKd' if is_long else name, 10)
  pairs = similarity.find_pairs(subset.classes, images)[: montage.PAIRS]
  counts = [(6000 - c.label, 1000) for c in subset.classes]
  confusion = 9 * np.eye(subset.num_classes, dtype=int)
  confusion += np.eye(subset.num_classes, k=1, dtype=int)
  first = [few[:3] for few in images]
  return {
    'montage': lambda: montage.draw_montage(subset, first, name),
    'pairs': lambda: montage.draw_pairs(subset, pairs, name),
    'histogram': lambda: histogram.draw_histogram(subset, counts, name),
    'confusion': lambda: confusion_matrix.draw_confusion(
      subset, confusion, name, f'accuracy {"very " * 30}high'
    ),
  }


def _save(draw, path, **options):
  """Saves a picture; returns the figure as it was saved."""
  kept = []
  pictures.save(path, lambda: kept.append(draw()) or kept[0], **options)
  return kept[0]


def _texts(figure) -> list[str]:
  return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def _box(text: Text) -> tuple[float, ...]:
  """Returns left, bottom, right and top of what a text covers."""
  box = text.get_window_extent()
  if text.get_rotation():
    # The line is higher than its letters.
    return box.x0 + 3, box.y0, box.x1 - 3, box.y1
  _, baseline = text.get_transform().transform(text.get_position())
  size = text.get_fontsize() * text.figure.dpi / 72
  outline = TextPath(
    (0, baseline), text.get_text(), size, prop=text.get_fontproperties()
  )
  heights = outline.vertices[:, 1]
  return box.x0, heights.min(), box.x1, heights.max()


@pytest.mark.parametrize('name', [*_NAMES, 'long names'])
def test_no_text_overlaps_another_or_an_image_or_leaves_the_picture(
  name, examples, tmp_path
):
  for draw in _figures(name, examples).values():
    figure = _save(draw, tmp_path / 'x.png')
    width, height = figure.canvas.get_width_height()
    assert height < 3 * width
    assert all(t.get_fontsize() >= 6 for t in figure.findobj(Text))
    boxes = np.array([_box(t) for t in figure.findobj(Text) if t.get_text()])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (width, height)).all()
    lows, highs = boxes[:, :2], boxes[:, 2:]
    crossing = (lows[:, None] < highs) & (lows < highs[:, None])
    assert crossing.all(axis=2).sum() == len(boxes)
    for image in figure.findobj(AxesImage):
      drawn = np.flip(image.get_array()[:, :, 3], 0).repeat(2, 0).repeat(2, 1)
      for box in boxes.astype(int):
        assert not drawn[box[1] : box[3], box[0] : box[2]].any()


@pytest.mark.parametrize('dark', [False, True])
def test_images_are_drawn_pixel_by_pixel(examples, tmp_path, dark):
  draw = _figures('X-12', examples)['montage']
  figure = _save(draw, tmp_path / 'x.png', dark=dark)
  (image,) = figure.findobj(AxesImage)
  pixels = np.array(Image.open(tmp_path / 'x.png').convert('RGB'))
  # The line below the title.
  assert tuple(pixels[58, 300]) == ((218, 220, 224), (60, 64, 67))[dark]
  sheet = np.asarray(image.get_array())
  drawn = sheet[:, :, 3] == 255
  for y, x in itertools.product((0, 1), (0, 1)):
    shown = pixels[y::2, x::2]
    np.testing.assert_array_equal(shown[drawn], sheet[drawn][:, :3])
  corner = drawn & ~np.roll(drawn, 1, 0) & ~np.roll(drawn, 1, 1)
  tiles = [sheet[y:, x:, 0][:28, :28] for y, x in np.argwhere(corner)]
  wanted = itertools.chain(*examples('X-12', 3))
  found, expected = ([t.tobytes() for t in each] for each in (tiles, wanted))
  assert sorted(found) == sorted(expected)


def test_every_class_and_source_is_named(examples, tmp_path):
  subset = subsets.subset('4-EcFKdK49')
  drawn = _figures(subset.name, examples)
  for kind in ('montage', 'histogram'):
    texts = _texts(_save(drawn[kind], tmp_path / 'x.png'))
    assert set(texts) >= set(subset.class_names)
    assert any('K49  Kuzushiji-49' in text for text in texts)
  assert '5,900 / 1,000' in texts


@pytest.mark.parametrize(
  ('name', 'times', 'numbers'), [('2-EEl', 2, 36), ('3-EElKm', 2, 0)]
)
def test_both_axes_of_a_confusion_are_named(name, times, numbers, tmp_path):
  subset = subsets.subset(name)
  confusion = 99 * np.eye(subset.num_classes, dtype=int)
  draw = lambda: confusion_matrix.draw_confusion(subset, confusion, '', '')  # noqa: E731
  texts = _texts(_save(draw, tmp_path / 'x.png'))
  assert {'True class', 'Predicted class, % of each true class'} <= {*texts}
  for named in {*subset.class_names} - {*'0123456789'}:
    assert texts.count(named) == times
  # One more is in the legend.
  assert texts.count('100') == numbers + 1


def test_sources_of_a_histogram_are_apart(examples, tmp_path):
  figure = _save(_figures('X-12', examples)['histogram'], tmp_path / 'x.png')
  tops = {
    t.get_text(): _box(t)[3] for t in figure.findobj(Text) if t.get_text()
  }
  after, _, before = (tops[name] for name in ('Bag', 'Kd  Kannada-MNIST', '೧'))
  # Three lines: one is blank.
  assert after - before == pytest.approx(3 * 20, abs=8)


@pytest.mark.parametrize(
  'command',
  [
    'show X-12 -o',
    'show X-12 --histogram -o',
    'show X-12 --confusable -o',
    'audit 1-Kd --picture',
    'evaluate X-12 {}/p.npz --confusion',
  ],
)
def test_pictures_of_the_sample_say_so_on_light_and_dark(
  command, tmp_path, capsys
):
  _, y = cmnist_tfds.load_data('X-12', split='test', sample=True)
  cmnist_tfds.save_predictions(
    tmp_path / 'p.npz', 'X-12', y, y, method='none', sample=True
  )
  words = [*command.format(tmp_path).split(), str(tmp_path / 'x.svg')]
  for paper, more in (('#ffffff', ()), ('#17181b', ('--dark',))):
    where = ('--sample', '--data_dir', str(tmp_path))
    assert cli.main([*words, *where, *more]) == 0
    svg = (tmp_path / 'x.svg').read_text('utf-8')
    assert re.search('<title>cmnist_sample/.* [(]synthetic[)]</title>', svg)
    assert re.search('fill: (#[0-9a-f]{6})', svg).group(1) == paper
  capsys.readouterr()


def test_svg_has_the_same_texts_and_needs_no_font(examples, tmp_path):
  draw = _figures('X-12', examples)['montage']
  figure = _save(draw, tmp_path / 'x.svg')
  svg = (tmp_path / 'x.svg').read_text('utf-8')
  assert '<title>X-12</title>' in svg
  assert re.findall('<!-- (.*?) -->', svg) == _texts(figure)
  assert '<text' not in svg and 'font-family' not in svg
  assert 'image-rendering:pixelated' in svg


@pytest.mark.parametrize('suffix', ['.png', '.svg', '.PNG'])
def test_the_same_picture_is_the_same_file(
  examples, tmp_path, suffix, monkeypatch
):
  draw = _figures('2-FKd', examples)['pairs']
  files = []
  for number in (1, 2):
    # Neither the time nor the style of the user changes it.
    monkeypatch.setenv('SOURCE_DATE_EPOCH', str(number))
    monkeypatch.setitem(sys.modules['matplotlib'].rcParams, 'font.size', number)
    _save(draw, tmp_path / f'{number}{suffix}')
    files.append((tmp_path / f'{number}{suffix}').read_bytes())
  assert files[0] == files[1]


def test_0_and_O_and_kannada_0_look_alike(examples):
  subset = subsets.subset('3-EElKd')
  images = examples(subset.name, similarity.EXAMPLES)
  pairs = similarity.find_pairs(subset.classes, images)
  first = [''.join(c.name for c in pair.classes) for pair in pairs[:3]]
  assert sorted(first) == ['0O', '0೦', 'O೦']
  similarities = [-pair.similarity for pair in pairs]
  assert similarities == sorted(similarities)


def test_equal_images_have_similarity_1_and_blank_images_0():
  subset = subsets.subset('2-FKd')

  def ink(height):
    image = np.zeros((28, 28), np.uint8)
    image[3 : 3 + 10 * height, 5:20] = 200
    image[3 + 3 * height : 3 + 7 * height, 9:20] = 0
    return [image]

  images = [[np.full((28, 28), 255, np.uint8)]] * 20
  images[4] = images[11] = ink(1)
  first, second, *more = similarity.find_pairs(subset.classes, images)
  assert len(more) == 98
  assert [c.label for c in first.classes] == [4, 11]
  assert (first.similarity, second.similarity) == (pytest.approx(1), 0)
  # The proportions of the ink make little difference.
  images[11] = ink(2)
  assert similarity.find_pairs(subset.classes, images)[0].similarity > 0.9
  # A class without images is in no pair.
  images[11] = []
  assert len(similarity.find_pairs(subset.classes, images)) == 90


def test_one_source_has_no_pairs(examples, tmp_path):
  figure = _save(_figures('1-Km', examples)['pairs'], tmp_path / 'x.png')
  assert _texts(figure) == ['1-Km', 'CMNIST-1-Km has only one source']


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  extra = r'matplotlib.*pip install .*\[figures\]'
  with pytest.raises(MissingExtraError, match=extra):
    pictures.check_picture(tmp_path / 'x.png')


# Fonts -----------------------------------------------------------------------


def _written(characters: str, path: pathlib.Path) -> str:
  """Returns what is written in place of characters, each a class name."""

  def draw():
    figure, axes = pictures.blank(200, 40 + 20 * len(characters), '')
    for y, name in enumerate(characters, 1):
      pictures.write(axes, 10, 20 * y, name, 10)
    return figure

  return ''.join(_texts(_save(draw, path)))


def _class_names() -> str:
  """Returns every character of the class names."""
  registered = [*registry.registry().extensions]
  # A thousand kanji would make the font many times as large.
  sources = [s for s in (*SOURCES, *registered) if s.key != 'Kk']
  names = itertools.chain(*(s.class_names for s in sources))
  return ''.join(sorted({*''.join(names)} - {' '}))


@pytest.mark.parametrize(
  ('text', 'installed', 'written', 'warning'),
  [
    (_class_names(), [], _class_names(), ''),
    ('漢0字', [], 'U+6F220U+5B57', 'No font has the characters'),
    # Cyrillic, which the font of the package lacks.
    ('Жあ', ['cmr10.ttf', 'DejaVuSans.ttf'], 'Жあ', ''),
  ],
)
def test_text_is_written_in_a_font_that_has_its_characters(
  text, installed, written, warning, tmp_path, monkeypatch, caplog
):
  data = pathlib.Path(font_manager.__file__).parent / 'mpl-data/fonts/ttf'
  fonts = [str(data / name) for name in installed]
  monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: fonts)
  assert _written(text, tmp_path / 'x.png') == written
  assert len(caplog.records) == bool(warning)
  assert warning in caplog.text


def test_the_license_of_the_font_travels_with_it():
  font = font_manager.get_font(pictures.CLASS_NAMES_FONT)
  assert font.family_name == 'CMNIST Class Names'
  path = pictures.CLASS_NAMES_FONT
  text = path.with_name('class_names_license.txt').read_text('utf-8')
  assert path.name in text
  assert 'SIL OPEN FONT LICENSE' in text


@pytest.mark.parametrize('dark', [False, True])
def test_themes_have_contrast(examples, tmp_path, dark):
  def luminance(color: str) -> float:
    parts = np.array([*bytes.fromhex(color[1:])]) / 255
    large = ((parts + 0.055) / 1.055) ** 2.4
    linear = np.where(parts <= 0.04045, parts / 12.92, large)
    return float(linear @ [0.2126, 0.7152, 0.0722])

  draw = _figures('2-FKd', examples)['histogram']
  _save(draw, tmp_path / 'x.svg', dark=dark)
  svg = (tmp_path / 'x.svg').read_text('utf-8')
  paper, *bars, ink = dict.fromkeys(re.findall('fill: (#[0-9a-f]{6})', svg))
  assert len(bars) == 2
  # The contrast that WCAG 2 requires of text and of graphics.
  for color, wanted in ((ink, 4.5), *((bar, 3) for bar in bars)):
    low, high = sorted((luminance(paper), luminance(color)))
    assert (high + 0.05) / (low + 0.05) >= wanted, color


def test_axes_are_as_dark_as_the_page():
  def draw():
    return reliability.draw_reliability([(0.9, 10, 0.8)], 'a title')

  figure = pictures.styled(draw, dark=True)
  (axes,) = figure.axes
  assert axes.get_facecolor() == figure.get_facecolor()
  assert axes.xaxis.label.get_color() == axes.title.get_color()
