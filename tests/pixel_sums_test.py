# SPDX-License-Identifier: Apache-2.0
"""The mean and the standard deviation of subsets are those of their pixels."""

from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import sources
from cmnist_tfds.cache import pixel_sums

_SCRIPT = pathlib.Path(__file__).parents[1] / 'scripts/write_pixel_sums.py'


@pytest.mark.parametrize('key', ['F', 'Kd', 'Bn', 'Dv', 'Mn', 'Te'])
def test_sums_are_those_of_the_files(key, origin_files):
  source = sources.source(key)
  made = runpy.run_path(str(_SCRIPT))['sums_of'](source, origin_files)
  assert made == pixel_sums.label_sums(source).tolist()


@pytest.mark.parametrize(
  ('name', 'mean', 'std'),
  [
    ('2-FKd', 0.1842, 0.3192),
    ('2-FKd-r-5', 0.1842, 0.3192),
    ('1-Mn', 0.1307, 0.3081),
  ],
)
def test_figures(name, mean, std):
  subset = cmnist_tfds.subset(name)
  assert (round(subset.mean, 4), round(subset.std, 4)) == (mean, std)


@pytest.mark.usefixtures('empty_cache')
def test_figures_of_what_was_read(origin_files, monkeypatch, tmp_path):
  (tmp_path / 'none.json').write_text('{}')
  monkeypatch.setattr(pixel_sums, 'TABLE', tmp_path / 'none.json')
  pixel_sums.label_sums.cache_clear()
  monkeypatch.setenv('CMNIST_MIRROR', str(origin_files))
  subset = cmnist_tfds.subset('2-DvTe')
  assert subset.mean is subset.std is None
  images, _ = cmnist_tfds.load_data('2-DvTe', split='train', data_dir=tmp_path)
  np.testing.assert_allclose(subset.mean, np.mean(images / 255), rtol=1e-12)
  np.testing.assert_allclose(subset.std, np.std(images / 255), rtol=1e-12)
  pixel_sums.label_sums.cache_clear()
