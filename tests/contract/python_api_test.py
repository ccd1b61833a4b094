# SPDX-License-Identifier: Apache-2.0
"""The public functions: how they are called, and what they return."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import cmnist_tfds

# Parameters that are passed by position, and those that are named.
_SIGNATURES = {
  'load_data': ('name', 'split features data_dir sample draw'),
  'as_batches': (
    'name split batch_size',
    'shuffle seed features data_dir sample draw',
  ),
  'subset': ('name', ''),
  'training_rows': ('name split', 'data_dir sample'),
  'evaluate': (
    'name files',
    'data_dir sample assume_order trust_labels without_near_duplicates',
  ),
  'save_predictions': (
    'path name prediction label',
    'method split scores class_names seed draw code data pretraining'
    ' validation time sample data_dir',
  ),
}


@pytest.mark.parametrize('function', _SIGNATURES)
def test_functions_are_called_as_ever(function):
  signature = inspect.signature(getattr(cmnist_tfds, function))
  assert function in cmnist_tfds.__all__
  positional, named = (part.split() for part in _SIGNATURES[function])
  kinds = {n: p.kind for n, p in signature.parameters.items()}
  assert [
    n for n, k in kinds.items() if k != inspect.Parameter.KEYWORD_ONLY
  ] == positional
  assert {*named} <= {*kinds} - {*positional}
  assert inspect.getdoc(getattr(cmnist_tfds, function))


def test_the_import_is_light():
  code = (
    'import sys, cmnist_tfds; print({"tensorflow", "tensorflow_datasets",'
    ' "torch", "jax", "matplotlib", "sklearn"} & set(sys.modules))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == 'set()\n'


def test_load_data_returns_the_arrays_of_keras(data_dir):
  where = {'data_dir': data_dir, 'sample': True}
  (x, y), (x_test, y_test) = cmnist_tfds.load_data('2-FKd', **where)
  assert (x.shape, x.dtype) == ((2_400, 28, 28), np.uint8)
  assert (y.shape, y.dtype) == ((2_400,), np.int64)
  assert (x_test.shape, y_test.shape) == ((480, 28, 28), (480,))
  part = cmnist_tfds.load_data('2-FKd', split='train[:10%]', **where)
  np.testing.assert_array_equal(part[0], x[:240])
  np.testing.assert_array_equal(part[1], y[:240])
  both = cmnist_tfds.load_data(
    '2-FKd', split={'a': 'test[-5:]+train[3:4]', 'b': ['all']}, **where
  )
  np.testing.assert_array_equal(
    both['a'][0], np.concatenate([x_test[-5:], x[3:4]])
  )
  assert len(both['b'][0][0]) == 2_880
  named, source, raw = cmnist_tfds.load_data(
    '2-FKd',
    split='test',
    features=('class_name', 'source', 'source_label'),
    **where,
  )
  subset = cmnist_tfds.subset('2-FKd')
  assert named.tolist() == [subset.classes[n].name for n in y_test]
  assert raw.tolist() == [subset.classes[n].raw_label for n in y_test]
  assert source.tolist() == (y_test >= 10).astype(int).tolist()
  # What a caller does with its arrays is no other caller's concern.
  x[:] = 0
  again = cmnist_tfds.load_data('2-FKd', split='train[:240]', **where)[0]
  np.testing.assert_array_equal(again, part[0])


@pytest.mark.parametrize(
  ('kwargs', 'error', 'word'),
  [
    ({'name': '2-FKx'}, cmnist_tfds.SubsetNameError, '2-FKd'),
    ({'split': 'dev'}, cmnist_tfds.SplitError, 'dev'),
    ({'split': 'train[:x]'}, (cmnist_tfds.SplitError, ValueError), 'x'),
    ({'features': ('size',)}, ValueError, 'size'),
    ({'draw': 1}, cmnist_tfds.SplitError, 'draw'),
    (
      {'name': '2-FKd-r-1', 'split': 'validation'},
      cmnist_tfds.SplitError,
      'validation',
    ),
  ],
)
def test_load_data_refuses_with_a_reason(data_dir, kwargs, error, word):
  options = {'name': '2-FKd', 'data_dir': data_dir, 'sample': True}
  with pytest.raises(error, match=word):
    cmnist_tfds.load_data(**{**options, **kwargs})


def test_validation_is_held_out_of_fit(data_dir):
  where = {'data_dir': data_dir, 'sample': True}
  x, y = cmnist_tfds.load_data('2-FKd', split='train', **where)
  held = cmnist_tfds.training_rows('2-FKd', 'validation', **where)
  fit = cmnist_tfds.training_rows('2-FKd', 'fit', **where)
  assert held.dtype == np.int64
  assert sorted([*held, *fit]) == list(range(2_400))
  assert np.bincount(y[held]).tolist() == [12] * 20
  images, labels = cmnist_tfds.load_data('2-FKd', split='validation', **where)
  np.testing.assert_array_equal(images, x[held])
  np.testing.assert_array_equal(labels, y[held])


def test_draws_have_nothing_in_common(data_dir):
  where = {'data_dir': data_dir, 'sample': True}
  full = cmnist_tfds.load_data('2-FKd', split='train', **where)
  drawn = [
    cmnist_tfds.load_data('2-FKd-r-10', split='train', draw=j, **where)
    for j in (1, 2)
  ]
  for label in range(20):
    of_class = full[0][full[1] == label]
    for number, (images, labels) in enumerate(drawn):
      expected = of_class[10 * number : 10 * (number + 1)]
      found = images[labels == label]
      assert {i.tobytes() for i in found} == {i.tobytes() for i in expected}


def test_as_batches_gives_what_load_data_gives(data_dir):
  where = {'data_dir': data_dir, 'sample': True}
  x, y = cmnist_tfds.load_data('X-12', split='train', **where)
  batches = cmnist_tfds.as_batches('X-12', 'train', 100, **where)
  assert len(batches) == -(-len(x) // 100)
  spec = batches.element_spec
  assert spec[0].shape.as_list() == [None, 28, 28, 1]
  assert (spec[0].dtype.name, spec[1].dtype.name) == ('uint8', 'int64')
  images, labels = map(
    np.concatenate, zip(*batches.as_numpy_iterator(), strict=True)
  )
  np.testing.assert_array_equal(images[..., 0], x)
  np.testing.assert_array_equal(labels, y)
  shuffled = cmnist_tfds.as_batches(
    'X-12', 'train', 100, shuffle=True, seed=1, features=['label'], **where
  )
  epochs = [
    np.concatenate([batch for (batch,) in shuffled.as_numpy_iterator()])
    for _ in range(2)
  ]
  assert (epochs[0] != epochs[1]).any()
  for epoch in epochs:
    np.testing.assert_array_equal(np.sort(epoch), np.sort(y))
  with pytest.raises(ValueError, match='batch_size'):
    cmnist_tfds.as_batches('X-12', 'train', 0, **where)


def test_pytorch_gives_what_load_data_gives(data_dir):
  torch = pytest.importorskip('torch')
  from cmnist_tfds.load.torch_dataset import CMNIST

  where = {'data_dir': data_dir, 'sample': True}
  x, y = cmnist_tfds.load_data('X-12', split='test', **where)
  dataset = CMNIST('X-12', 'test', **where)
  assert len(dataset) == len(x)
  assert dataset.classes == [c.name for c in cmnist_tfds.subset('X-12').classes]
  image, label = dataset[3]
  assert (image.shape, image.dtype) == ((1, 28, 28), torch.uint8)
  assert label == y[3]
  np.testing.assert_array_equal(dataset.targets, y)
  loader = torch.utils.data.DataLoader(dataset, 100)
  images, labels = (torch.cat(part) for part in zip(*loader, strict=True))
  np.testing.assert_array_equal(images[:, 0].numpy(), x)
  np.testing.assert_array_equal(labels.numpy(), y)


def test_predictions_are_saved_and_scored(data_dir, tmp_path):
  where = {'data_dir': data_dir, 'sample': True}
  _, y = cmnist_tfds.load_data('2-FKd', split='test', **where)
  guess = np.where(np.arange(len(y)) % 4 == 0, (y + 1) % 20, y)
  path = tmp_path / 'p.npz'
  cmnist_tfds.save_predictions(
    path, '2-FKd', [guess, y], y, method='guess', seed=[1, 2], **where
  )
  with np.load(path, allow_pickle=False) as saved:
    assert {*saved} >= {'subset', 'label', 'prediction', 'class_names'}
    assert str(saved['subset']) == '2-FKd'
    np.testing.assert_array_equal(saved['prediction'], [guess, y])
  scores = cmnist_tfds.evaluate('2-FKd', path, **where)
  assert scores.examples == 480
  assert scores.accuracy.value == pytest.approx(0.875)
  assert scores.accuracy.low < 0.875 < scores.accuracy.high
  assert [run.accuracy for run in scores.runs] == [0.75, 1.0]
  assert scores.balanced_accuracy.value == pytest.approx(
    np.mean([c.accuracy.value for c in scores.classes])
  )
  assert [s.key for s in scores.sources] == ['F', 'Kd']
  assert scores.confusion.shape == (20, 20)
  assert scores.about['method'] == 'guess'


@pytest.mark.parametrize(
  'spoil',
  [
    lambda y: (y[:-1], y[:-1]),  # A dropped example.
    lambda y: (y[::-1], y[::-1]),  # Another order.
    lambda y: (19 - y, 19 - y),  # Another numbering.
    lambda y: (np.full_like(y, 20), y),  # No such class.
    lambda y: (np.full(len(y), np.nan), y),
  ],
)
def test_predictions_of_something_else_are_refused(data_dir, tmp_path, spoil):
  where = {'data_dir': data_dir, 'sample': True}
  _, y = cmnist_tfds.load_data('2-FKd', split='test', **where)
  with pytest.raises(cmnist_tfds.PredictionsError) as raised:
    cmnist_tfds.save_predictions(
      tmp_path / 'p.npz', '2-FKd', *spoil(y), method='odd', **where
    )
  assert '\n' not in str(raised.value)
  assert not list(tmp_path.iterdir())
