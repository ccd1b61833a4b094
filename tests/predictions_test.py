# SPDX-License-Identifier: Apache-2.0
"""Files of predictions: what is written is read, and what is wrong is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.scoring import predictions
from cmnist_tfds.system.errors import PredictionsError, PreparationError

_NAME = 'X-12'
_SUBSET = subsets.subset(_NAME)
_CLASS_NAMES = list(_SUBSET.class_names)


@pytest.fixture(scope='module')
def opened(sample_dir):
  return open_subset(_SUBSET, data_dir=sample_dir, sample=True)


@pytest.fixture(scope='module')
def labels(opened):
  return opened.split('test').labels


@pytest.fixture
def save(sample_dir, labels, tmp_path):
  """Saves predictions of the sample, those of a perfect model by default."""

  def save_(**kwargs):
    arguments = {
      'path': tmp_path / 'p.npz',
      'name': _NAME,
      'prediction': labels,
      'label': labels,
      'method': 'perfect',
      'sample': True,
      'data_dir': sample_dir,
    }
    return cmnist_tfds.save_predictions(**{**arguments, **kwargs})

  return save_


def test_what_is_saved_is_read(save, labels, tmp_path):
  guesses = np.random.default_rng(0).integers(0, 12, (3, len(labels)))
  about = {field: f'its {field}' for field in predictions.ABOUT}
  runs = {'seed': [1, 1, 2], 'draw': [0, 1, 0]}
  save(prediction=guesses, name=f'{_NAME}-r-10', **runs, **about)
  read = predictions.read_predictions(tmp_path / 'p.npz')
  np.testing.assert_array_equal(read.predicted, guesses)
  np.testing.assert_array_equal(read.labels, labels)
  assert read.subset is subsets.subset(f'{_NAME}-r-10')
  assert (read.dataset, read.split) == ('cmnist_sample', 'test')
  assert (read.seeds, read.draws) == ((1, 1, 2), (0, 1, 0))
  assert (read.about, read.notes) == (about, (predictions.SAMPLE_SCORED,))
  # The file is the documented one.
  with np.load(tmp_path / 'p.npz', allow_pickle=False) as file:
    arrays = dict(file)
  assert arrays['class_names'].tolist() == _CLASS_NAMES
  assert arrays['label'].dtype == np.uint8
  assert json.loads(str(arrays['about'])) == about
  assert all(f'`{name}`' in predictions.__doc__ for name in arrays)


def test_equal_predictions_give_equal_bytes(save, tmp_path):
  save()
  save(path=tmp_path / 'q.npz')
  assert (tmp_path / 'p.npz').read_bytes() == (tmp_path / 'q.npz').read_bytes()


@pytest.mark.parametrize('shift', [1, 5, 11])
def test_another_numbering_is_mapped_by_class_names(
  save, labels, tmp_path, shift
):
  # Number n stands for the class n + shift.
  names = _CLASS_NAMES[shift:] + _CLASS_NAMES[:shift]
  numbers = (labels - shift) % 12
  scores = np.eye(12, dtype=np.float32)[numbers]
  scores[:, 0] += 0.5  # The others are not all alike.
  save(prediction=numbers, label=numbers, class_names=names, scores=scores)
  read = predictions.read_predictions(tmp_path / 'p.npz')
  np.testing.assert_array_equal(read.predicted[0], labels)
  np.testing.assert_array_equal(read.scores[0], np.roll(scores, shift, axis=1))


class _Unconvertible:
  """Like a tensor of PyTorch that is not ready for NumPy."""

  def __array__(self, *args, **kwargs):
    raise RuntimeError('call detach')


def _with_nan(labels):
  scores = np.eye(12, dtype=np.float32)[labels]
  scores[5, 3] = np.nan
  return scores


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda y: {'label': np.roll(y, 1)}, 'in another order'),
    (lambda y: {'label': (y + 1) % 12}, 'classes are numbered in another'),
    (lambda y: {'label': np.zeros_like(y)}, 'other examples'),
    (lambda y: {'prediction': y[1:], 'label': y[1:]}, 'the last batch'),
    (lambda y: {'prediction': y[:-1]}, r'integers of shape \(1, 288\) or'),
    (lambda y: {'prediction': np.empty((0, len(y)), int)}, r'found .*\(0, 288'),
    (lambda y: {'label': y[:0], 'prediction': y[:0]}, r'shape \(0,\), found'),
    (lambda y: {'prediction': y + 1}, 'expected numbers from 0 to 11'),
    (lambda y: {'prediction': y / 1}, 'expected integers .* found float64'),
    (lambda y: {'scores': _with_nan(y)}, 'example 5 in run 0 are not all fin'),
    (lambda y: {'scores': np.eye(12)[(y + 1) % 12]}, 'have the highest'),
    (lambda y: {'scores': np.eye(13)[y]}, r'\(1, 288, 12\) or \(288, 12\)'),
    (lambda y: {'class_names': [*_CLASS_NAMES[:-1], 'cat']}, "'cat'"),
    (lambda y: {'class_names': _CLASS_NAMES[:-1]}, 'found 11 names'),
    (lambda y: {'prediction': [y, y[1:]]}, 'expected numbers: '),
    (lambda y: {'scores': _Unconvertible()}, 'expected numbers: call detach'),
    (lambda y: {'method': 'a\x1b[31m'}, 'without control characters'),
    (lambda y: {'seed': [1, 2]}, r'seed: expected integers of shape \(1,\)'),
    (lambda y: {'draw': [0.5]}, r'draw: expected integers of shape \(1,\)'),
    (lambda y: {'split': 'train'}, 'expected 1,440 examples'),
  ],
)
def test_what_does_not_fit_is_one_clear_error(
  save, labels, tmp_path, change, message
):
  with pytest.raises(PredictionsError, match=message):
    save(**change(labels))
  assert not (tmp_path / 'p.npz').exists()


def test_texts_are_of_one_line(save):
  saved = save(method='nearest\n  mean', time='1\u00a0s')
  assert saved.about == {'method': 'nearest mean', 'time': '1 s'}


@pytest.mark.parametrize(('name', 'draw'), [(_NAME, 1), (f'{_NAME}-r-10', -1)])
def test_there_must_be_such_a_draw(save, tmp_path, name, draw):
  with pytest.raises(cmnist_tfds.SplitError, match='draw'):
    save(name=name, draw=draw)
  save(name=name, draw=0)
  _rewrite(tmp_path / 'p.npz', draw=np.array([draw]))
  with pytest.raises(PredictionsError, match=r'p\.npz.*draw'):
    predictions.read_predictions(tmp_path / 'p.npz')


def test_other_errors_are_those_of_names_and_folders(save, tmp_path):
  with pytest.raises(cmnist_tfds.SubsetNameError):
    save(name='X-13')
  with pytest.raises(PreparationError, match='nowhere'):
    save(path=tmp_path / 'nowhere/p.npz')


@pytest.mark.usefixtures('empty_cache')
def test_without_the_data_the_sizes_of_classes_are_compared(save, tmp_path):
  with pytest.raises(PredictionsError, match='those of the sample'):
    save(sample=False, data_dir=tmp_path)
  assert not (tmp_path / 'p.npz').exists()


def _rewrite(path, **changes):
  with np.load(path) as file:
    arrays = {**file, **changes}
  np.savez(path, **{n: a for n, a in arrays.items() if a is not None})


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'label': None}, "'label is not"),
    ({'class_names': None}, "'class_names is not"),
    ({'subset': '3-EEbF'}, 'class names may not occur twice'),
    ({'subset': '2-FKd'}, 'each of the 20 classes of CMNIST-2-FKd once'),
    ({'format': 'other 9'}, "cmnist predictions 1 of.* found 'other 9"),
    (
      {'dataset': 'mnist'},
      "of cmnist or .* of cmnist_sample, found .* of mnist'",
    ),
    ({'about': '{'}, 'expected texts'),
    ({'about': '[' * 100_000}, 'expected texts'),
    ({'about': '{"author": "me"}'}, 'expected texts .* for method'),
    ({'about': '{"method": 1}'}, 'expected texts .* for method'),
    ({'about': '[]'}, 'expected texts .* for method'),
    ({'class_names': np.arange(12)}, 'each of the 12 classes'),
    ({'prediction': np.array([None] * 288)}, 'not a file of predictions'),
    ({'scores': np.zeros((3, 288, 12))}, r'\(1, 288, 12\) or \(288, 12\)'),
  ],
)
def test_a_wrong_file_is_one_clear_error(save, tmp_path, changes, message):
  save()
  path = tmp_path / 'p.npz'
  _rewrite(path, **changes)
  with pytest.raises(PredictionsError, match=message) as caught:
    predictions.read_predictions(path)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize(
  'damage',
  [
    lambda data: data[: len(data) // 2],
    lambda data: b'',
    lambda data: b'PK\x03\x04' + data[40:],
    lambda data: data.replace(b'label.npy', b'lapel.npy'),
    lambda data: b'not NumPy',
    lambda data: b'\0' * 100,
    None,
  ],
)
def test_a_damaged_or_missing_file_is_one_clear_error(
  save, opened, tmp_path, damage
):
  save()
  path = tmp_path / 'p.npz'
  data = path.read_bytes()
  path.unlink()
  if damage:
    path.write_bytes(damage(data))
  for read in (
    predictions.read_predictions,
    lambda path: predictions.read_bare_predictions(path, opened),
  ):
    with pytest.raises(PredictionsError, match=r'p\.npz') as caught:
      read(path)
    # Nobody is advised to load what may hold code.
    assert 'pickle' not in str(caught.value)


@pytest.fixture(scope='module')
def two_sources():
  return open_subset(subsets.subset('2-FKd'), sample=True)


@pytest.mark.parametrize(
  'form', ['npy', 'numbers', 'names', 'header', 'digits']
)
def test_bare_predictions_are_read(two_sources, tmp_path, form):
  labels = two_sources.split('test').labels
  if form == 'digits':
    labels = np.full_like(labels, 11)
  path = tmp_path / ('p.npy' if form == 'npy' else 'p.csv')
  if form == 'npy':
    np.save(path, labels)
  else:
    # Python takes Kannada digits, names of classes, for numbers.
    of_classes = form in ('names', 'digits')
    names = two_sources.class_names if of_classes else range(20)
    lines = ['', 'prediction '] if form == 'header' else []
    lines += [str(names[label]) for label in labels]
    path.write_text('\n'.join(lines) + '\n  \n', 'utf-8')
  read = predictions.read_bare_predictions(path, two_sources)
  np.testing.assert_array_equal(read.predicted[0], labels)
  assert predictions.ORDER_ASSUMED in read.notes


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('0\n1\n', r'shape \(1, 480\) or'),
    ('0,1\n' * 480, "one prediction a line.*found '0,1'"),
    ('cat\n' * 480, "'cat'"),
    ('label\n' + '1\n' * 479, "the line `prediction`.*found 'label'"),
    ('0.5\n' * 480, r"'0\.5'"),
    ('20\n' * 480, 'from 0 to 19'),
    ('9' * 40 + '\n', 'expected integers'),
    ('', r'found int64 of shape \(0,\)'),
    (b'\xff\xfe\x00', 'UTF-8'),
  ],
)
def test_wrong_bare_predictions_are_errors(
  two_sources, tmp_path, text, message
):
  path = tmp_path / 'p.csv'
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  with pytest.raises(PredictionsError, match=message) as caught:
    predictions.read_bare_predictions(path, two_sources)
  assert str(path) in str(caught.value)
