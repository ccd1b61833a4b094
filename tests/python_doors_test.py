# SPDX-License-Identifier: Apache-2.0
"""Python can do what the command line can, without a shell."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys

import pytest
from command_line import run as _run

import cmnist_tfds
from cmnist_tfds import subsets

pytest.importorskip('matplotlib')


def test_subsets_are_found_as_by_the_command(capsys):
  for options, argv in (
    ({}, ()),
    ({'reduced': True}, ('--all',)),
    ({'containing': ['F', 'Kd']}, ('--with', 'F,Kd')),
    (
      {'without': ['e', 'F'], 'balanced': True},
      ('--without', 'E,F', '--balanced'),
    ),
    (
      {'max_classes': 24, 'containing': ('N',)},
      ('--max_classes', 24, '--with', 'N'),
    ),
  ):
    _, out, _ = _run(capsys, 'list', *argv, '--format', 'json')
    named = [row['name'] for row in json.loads(out)]
    assert [s.name for s in cmnist_tfds.find_subsets(**options)] == named


def test_extensions_are_found_when_asked_for():
  plain = cmnist_tfds.find_subsets()
  more = cmnist_tfds.find_subsets(extensions=True)
  assert more[: len(plain)] == plain
  assert subsets.subset('1-Mn') in more[len(plain) :]
  with pytest.raises(
    cmnist_tfds.SubsetNameError, match=r"no source 'Zz'.* E, Ed"
  ):
    cmnist_tfds.find_subsets(without=['F', 'Zz'])


def test_no_module_is_hidden():
  assert importlib.import_module('cmnist_tfds.subsets') is cmnist_tfds.subsets
  assert cmnist_tfds.subsets.find_subsets is cmnist_tfds.find_subsets


@pytest.mark.parametrize('options', [{}, {'histogram': True}, {'dark': True}])
def test_show_draws_what_the_command_draws(
  options, sample_dir, tmp_path, capsys
):
  where = {'data_dir': sample_dir, 'sample': True}
  figure = cmnist_tfds.show('X-12', **options, **where)
  png = figure._repr_png_()  # What notebooks ask for.
  assert png.startswith(b'\x89PNG')
  path = tmp_path / 'x.png'
  flags = [f'--{option}' for option in options]
  place = ('--sample', '--data_dir', sample_dir, '-o', path)
  assert _run(capsys, 'show', 'X-12', *flags, *place)[0] == 0
  pytest.importorskip('PIL')
  from PIL import Image

  def pixels(file):
    return Image.open(file).convert('RGB').tobytes()

  assert pixels(io.BytesIO(png)) == pixels(path)


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


def test_info_is_a_record(sample_dir):
  told = cmnist_tfds.info('2-FKd', data_dir=sample_dir)
  assert (told['train'], told['test'], told['prepared']) == (
    120_000,
    20_000,
    None,
  )
  assert told['balanced'] and told['dataset'] == 'cmnist'
  told = cmnist_tfds.info('cmnist_sample/X-12', data_dir=sample_dir)
  assert told['prepared'].endswith('cmnist_sample/X-12/1.0.0')
  assert told['classes'][0] == {
    'label': 0,
    'source': 'E',
    'raw': 0,
    'train': 120,
    'test': 24,
    'class': '0',
  }
  assert sum(c['test'] for c in told['classes']) == told['test'] == 288


def test_the_dataset_of_pytorch_is_at_the_top_and_imported_when_used():
  pytest.importorskip('torch')
  code = (
    'import sys, cmnist_tfds; from cmnist_tfds import *\n'
    'assert "torch" not in sys.modules\n'
    'from cmnist_tfds.load.torch_dataset import CMNIST\n'
    'assert cmnist_tfds.CMNIST is CMNIST'
  )
  subprocess.run([sys.executable, '-c', code], check=True)
