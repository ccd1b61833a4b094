# SPDX-License-Identifier: Apache-2.0
"""Neighbors are exact, and their votes are those that are documented."""

import collections
import functools
import json
import pathlib
import time

import numpy as np
import pytest
import synthetic
from command_line import run as _run

from cmnist_tfds import subsets
from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.origin import Locations
from cmnist_tfds.scoring import nearest_neighbors, predictions
from cmnist_tfds.scoring.nearest_neighbors import Neighbors, vote
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.system.errors import SplitError

_RESULTS = pathlib.Path(__file__).resolve().parent.parent / 'results'


class _Opened:
  """A source in memory, read as a prepared one is."""

  def __init__(self, made, digests=None):
    self._made = made
    self.digests = digests or {}

  def split(self, split):
    images, labels = self._made.arrays[split]
    subset = subsets.combine(self._made.source)
    entry = store.Entry({'images': images, 'labels': labels}, {})
    keys = shuffle_order(split, len(labels))
    return SplitView(subset, [SplitSource(subset.classes, entry, '')], keys)


def _make(images, **kwargs):
  """Makes two sources, whose images a function gives for a generator."""
  made = []
  for seed, key in enumerate(('A', 'B')):
    one = synthetic.make(key=key, seed=seed, **kwargs)
    rng = np.random.default_rng(seed)
    for split, (_, labels) in [*one.arrays.items()]:
      drawn = images(rng, len(labels)).reshape(-1, 28, 28).astype(np.uint8)
      # Classes are not in turn.
      one.arrays[split] = drawn, rng.permutation(labels)
    made.append(one)
  return made


def _noise(rng, count):
  return rng.integers(0, 256, (count, 784))


def _neighbors(made, count, **kwargs):
  opened = {one.source: _Opened(one, **kwargs) for one in made}
  return Neighbors(lambda subset: opened[subset.sources[0]], count)


def _labels(made):
  """The labels of all training images in the union, in the order of the files."""
  raw = [one.arrays['train'][1].astype(int) for one in made]
  return np.concatenate([labels + 2 * n for n, labels in enumerate(raw)])


def _nearest(made, rows, k):
  """The labels of the neighbors among some rows, by brute force in integers."""
  # Doubles are exact here as well.
  train, test = (
    np.concatenate([one.arrays[split][0] for one in made])
    .reshape(-1, 784)
    .astype(float)
    for split in SPLITS
  )
  distances = (train[rows] ** 2).sum(1) - 2 * (test @ train[rows].T)
  nearest = np.argsort(distances, axis=1, kind='stable')[:, :k]
  return _labels(made)[rows][nearest][shuffle_order('test', len(test))]


def _check(made, size, ks, **kwargs):
  """Compares what neighbors vote with what those of brute force do."""
  subset = subsets.combine(*[one.source for one in made])
  subset = subsets.reduce(subset, size) if size else subset
  nearest = _neighbors(made, max(ks), **kwargs).nearest_labels(subset)[0]
  labels = _labels(made)
  ranks = [(labels[:i] == c).sum() for i, c in enumerate(labels)]
  rows = np.flatnonzero(np.array(ranks) < (size or len(labels)))
  for k in ks:
    # The first of the most common is the nearest one.
    expected = [
      collections.Counter(row).most_common(1)[0][0]
      for row in _nearest(made, rows, k).tolist()
    ]
    np.testing.assert_array_equal(vote(nearest[:, :k]), expected, f'{size} {k}')


_IMAGES = {
  'noise': _noise,
  'black': lambda rng, n: 255 * rng.integers(0, 2, (n, 784)),
  # The largest distances and products there are, and many ties.
  'extreme': lambda rng, n: np.repeat(255 * rng.integers(0, 2, (n, 1)), 784, 1),
  'copies': lambda rng, n: rng.integers(0, 256, (9, 784))[
    rng.integers(0, 9, n)
  ],
  # Neighbors differ by one gray level in few pixels.
  'near': lambda rng, n: 128 + (rng.random((n, 784)) < 0.01),
}


@pytest.mark.parametrize('kind', _IMAGES)
def test_neighbors_are_those_of_brute_force(kind):
  made = _make(_IMAGES[kind], sizes={'train': 300, 'test': 60})
  for size in (None, 1, 7):
    _check(made, size, [1, 2, 5])


@pytest.mark.parametrize('count', [3, 100])
@pytest.mark.parametrize('levels', [2, 40])
def test_many_images_are_compared_in_blocks(levels, count):
  made = _make(
    # Those of two levels have equal distances to many others.
    lambda rng, n: levels * rng.integers(0, levels, (n, 784)) // 8,
    sizes={'train': 5000, 'test': 1100},
  )[:1]
  _check(made, None, [count])


def test_fewer_images_than_neighbors_all_vote():
  _check(_make(_noise, sizes={'train': 20, 'test': 10})[:1], 1, [5])


def test_neighbors_in_the_cache_belong_to_their_data(empty_cache, monkeypatch):
  sizes = {'train': 60, 'test': 10}
  made = _make(_noise, sizes=sizes)
  digests = {'train': 'first', 'test': 'first'}

  def check():
    _check(made, None, [3], digests=digests)

  check()
  assert len(store.entries('neighbors')) == 4
  with monkeypatch.context() as patch:
    patch.delattr(Neighbors, '_search')  # They are not searched for again.
    check()
  others = _make(lambda rng, n: rng.integers(0, 9, (n, 784)), sizes=sizes)
  for one, other in zip(made, others, strict=True):
    one.arrays.update(other.arrays)
  digests['train'] = 'second'
  check()


def test_draws_have_no_example_in_common_and_vote_alike():
  made = _make(_noise, sizes={'train': 60, 'test': 20})
  full = subsets.combine(*[one.source for one in made])
  reduced = subsets.reduce(full, 10)
  search = _neighbors(made, 1)
  labels = _labels(made)
  order = shuffle_order('train', len(labels))
  for draw in (1, 2, 3):
    # The draws take the examples of a class ten at a time.
    of_class = (order[labels[order] == c] for c in range(4))
    taken = [rows[10 * draw - 10 : 10 * draw] for rows in of_class]
    expected = _nearest(made, np.sort(np.concatenate(taken)), 1)
    found, _ = search.nearest_labels(reduced, draw)
    np.testing.assert_array_equal(found, expected)
  with pytest.raises(SplitError, match=r'3 draws, not 4: .* has 30'):
    search.nearest_labels(reduced, 4)
  with pytest.raises(SplitError, match='no draws'):
    search.nearest_labels(full, 1)


# The command ------------------------------------------------------------------


@pytest.fixture
def baseline(capsys, tmp_path):
  """Returns what scores neighbors in subsets of the sample."""

  argv = ('baseline', 'knn', '--sample', '-o', tmp_path)
  return functools.partial(_run, capsys, *argv)


def test_the_command_writes_results_that_evaluate_agrees_with(
  baseline, capsys, monkeypatch, tmp_path
):
  find = nearest_neighbors._candidates

  def find_slowly(*args):
    time.sleep(0.02)
    return find(*args)

  monkeypatch.setattr(nearest_neighbors, '_candidates', find_slowly)
  status, out, _ = baseline(*('2-FKd', '2-FKd-r-5', '-k', '1,3', '--draws', 2))
  assert status == 0
  assert '6 results' in out
  assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob('*.*')} == {
    f'{name}/knn-{k}{rest}.{suffix}'
    for name in ('2-FKd', '2-FKd-r-5')
    for k in (1, 3)
    for rest in ('', '-draws' * ('-r-' in name))
    for suffix in ('json', 'npz')
  }
  place = tmp_path / '2-FKd/knn-3'
  scores = json.loads(place.with_suffix('.json').read_text('utf-8'))
  evaluate = ('evaluate', '2-FKd', f'{place}.npz', '--sample')
  printed = json.loads(_run(capsys, *evaluate, '--format', 'json')[1])
  missing = {'confusion', 'confidence', 'ood'}
  assert printed.keys() - scores.keys() == missing
  assert printed['accuracy'] == pytest.approx(scores['accuracy'], abs=1e-8)
  assert printed['about'] == scores['about']
  assert scores['accuracy']['value'] > 0.6
  drawn, other = (
    predictions.read_predictions(tmp_path / f'2-FKd-r-5/knn-{k}-draws.npz')
    for k in (1, 3)
  )
  assert drawn.draws == (1, 2)
  # That of the search, which both have in common.
  assert drawn.about['time'] == other.about['time'] != '0.00 s'
  # Also where the cache has what was found.
  assert baseline('2-FKd', '-k', '3', '-o', tmp_path / 'again')[0] == 0
  again = json.loads((tmp_path / 'again/2-FKd/knn-3.json').read_text('utf-8'))
  assert again['about']['time'] == scores['about']['time'] != '0.00 s'


def test_results_that_are_there_stay(baseline, tmp_path):
  command = ('2-FKd-r-1', '--draws', 1)
  assert baseline(*command)[0] == 0
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.*')}
  contents = {p: p.read_bytes() for p in before}
  # Scores are missing, as after a kill, or damaged.
  (tmp_path / '2-FKd-r-1/knn-3.json').unlink()
  (tmp_path / '2-FKd-r-1/knn-5.json').write_text('{', 'utf-8')
  status, out, _ = baseline(*command)
  assert status == 0
  assert out.count('was there') == 6
  assert {p: p.read_bytes() for p in tmp_path.rglob('*.*')} == contents
  changed = [p.name for p in before if before[p] != p.stat().st_mtime_ns]
  assert sorted(changed) == ['knn-3.json', 'knn-5.json']
  assert 'says nothing about the benchmark' in out
  # The folder of results may have a longer name.
  assert max(len(line) for line in out.splitlines() if 'knn' in line) <= 80
  # More draws are computed.
  assert baseline('2-FKd-r-1', '--draws', 2)[1].count('was there') == 3


@pytest.mark.parametrize(
  ('dataset', 'message'),
  [
    (None, 'knn-1.npz'),
    ('cmnist', 'expected predictions for cmnist_sample/'),
    ('cmnist_sample', 'by None'),
  ],
)
def test_other_files_among_the_results_stay(
  baseline, tmp_path, dataset, message
):
  place = tmp_path / '2-FKd-r-1/knn-1.npz'
  place.parent.mkdir()
  place.write_text('mine', 'utf-8')
  if dataset:
    labels = np.tile(np.arange(20), 1000)
    given = subsets.subset('2-FKd-r-1'), labels, labels
    made = predictions.make_predictions(*given, dataset=dataset)
    predictions.write_predictions(place, made)
  before = place.read_bytes()
  status, _, err = baseline('2-FKd-r-1')
  assert status == 1
  assert str(place) in err and message in err
  assert place.read_bytes() == before


def test_there_are_as_many_draws_as_examples_allow(baseline, tmp_path):
  # The sample has 120 training examples of each class.
  command = ('1-Kd-r-50', '1-Kd-r-1000', '-k', '1', '--draws', 9)
  assert baseline(*command)[0] == 0
  drawn = predictions.read_predictions(tmp_path / '1-Kd-r-50/knn-1-draws.npz')
  assert drawn.draws == (1, 2)
  assert not (tmp_path / '1-Kd-r-1000/knn-1-draws.npz').exists()


@pytest.mark.parametrize(
  'argv',
  ['', '2-FKd --all', '--all --reduced', '2-FKd -k x', '2-FKd -k 101'],
)
def test_wrong_usage(capsys, argv):
  assert _run(capsys, 'baseline', 'knn', *argv.split())[0] == 2


def test_real_reduced_forms_have_the_published_predictions(
  origin_files, empty_cache, tmp_path
):
  for key in ('fashion_mnist', 'kannada_mnist'):
    if not (origin_files / key).is_dir():
      pytest.skip(f'there is no folder {key} in {origin_files}')
  where = Locations(manual_dir=origin_files)
  for split in SPLITS:
    split_sources.open_split(subsets.subset('2-FKd'), split, where)
  search = Neighbors(
    lambda subset: open_or_prepare(subset, data_dir=tmp_path), 5
  )
  for size in (100, 50, 10, 5, 1):
    subset = subsets.subset(f'2-FKd-r-{size}')
    nearest, _ = search.nearest_labels(subset)
    for k in (1, 3, 5):
      published = predictions.read_predictions(
        _RESULTS / f'{subset.name}/knn-{k}.npz'
      )
      predicted = vote(nearest[:, :k])
      np.testing.assert_array_equal(predicted, published.predicted[0])
