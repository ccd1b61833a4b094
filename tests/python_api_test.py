# SPDX-License-Identifier: Apache-2.0
"""Python can do what the command line can, without a shell."""

from __future__ import annotations

import io

import pytest
import running
from command_line import run as _run

import cmnist_tfds

pytest.importorskip('matplotlib')


@pytest.mark.parametrize(
  'options', [{'examples': 1}, {'histogram': True}, {'dark': True}]
)
def test_show_draws_what_the_command_draws(
  options, sample_dir, tmp_path, capsys
):
  where = {'data_dir': sample_dir, 'sample': True}
  figure = cmnist_tfds.show('X-12', **options, **where)
  png = figure._repr_png_()  # What notebooks ask for.
  assert png.startswith(b'\x89PNG')
  path = tmp_path / 'x.png'
  flags = [f'--{n}' if v is True else f'--{n}={v}' for n, v in options.items()]
  place = ('--sample', '--data_dir', sample_dir, '-o', path)
  status, out, _ = _run(capsys, 'show', 'X-12', *flags, *place)
  assert status == 0 and f'12 classes drawn to {path}' in out
  assert [*tmp_path.iterdir()] == [path]
  image = pytest.importorskip('PIL.Image')
  drawn, saved = (
    image.open(f).convert('RGB').tobytes() for f in (io.BytesIO(png), path)
  )
  assert drawn == saved


def test_scores_are_drawn(sample_dir, tmp_path):
  where = {'data_dir': sample_dir, 'sample': True}
  y = cmnist_tfds.load_data('X-12', split='test', **where)[1]
  cmnist_tfds.save_predictions(
    tmp_path / 'p.npz', 'X-12', y, y, method='mine', **where
  )
  scores = cmnist_tfds.evaluate('X-12', tmp_path / 'p.npz', **where)
  light, dark = scores.plot(), scores.plot(dark=True)
  assert light.get_facecolor() != dark.get_facecolor()
  assert any('mine' in t.get_text() for t in light.axes[0].texts)


def test_the_dataset_of_pytorch_is_at_the_top_and_imported_when_used():
  pytest.importorskip('torch')
  code = (
    'import sys, cmnist_tfds; from cmnist_tfds import *\n'
    'assert "torch" not in sys.modules and "CMNIST" in dir(cmnist_tfds)\n'
    'from cmnist_tfds.load.torch_dataset import CMNIST\n'
    'assert cmnist_tfds.CMNIST is CMNIST\n'
    'found = cmnist_tfds.subsets(containing=["F", "Kd"], balanced=True)\n'
    'assert found[0].name == "2-FKd" and len(found) > 1\n'
    'from cmnist_tfds.subsets import find_subsets\n'
    'assert cmnist_tfds.subsets.find_subsets is find_subsets'
  )
  running.works('-c', code)
