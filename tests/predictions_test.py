# SPDX-License-Identifier: Apache-2.0
"""Files of predictions: what is written is read, and what is wrong is said."""

from __future__ import annotations

import csv
import dataclasses
import json
import zipfile

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.scoring import predictions
from cmnist_tfds.system.errors import PredictionsError

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


def test_equal_predictions_give_equal_bytes(save, labels, tmp_path, caplog):
  # A file may have any name, and more members.
  paths = [tmp_path / 'p.npz', tmp_path / 'q.csv']
  for path in paths:
    save(path=path, prediction=labels[::-1])
  assert paths[0].read_bytes() == paths[1].read_bytes()
  assert predictions.GUESSED in caplog.text
  with zipfile.ZipFile(paths[1], 'a') as file:
    file.writestr('extra.npy', b'no magic')
  scored = cmnist_tfds.evaluate(_NAME, paths[1], sample=True)
  assert predictions.GUESSED in scored.notes


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


_PAIR = ('label', 'prediction')
_FULL = dict.fromkeys(_PAIR, np.arange(20_000) % 20)


def _of_ranks(y):
  """What 64 processes give, one after the other, cut to the length."""
  return np.resize(y, 320).reshape(5, 64).T.ravel()[: len(y)]


def _with(value, labels):
  scores = np.eye(12, dtype=np.float32)[labels]
  scores[5, 3] = value
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
    (lambda y: {'prediction': y + 1}, r'1 to 12\. Give prediction - 1'),
    (lambda y: {'prediction': y - 1}, r'found -1 to 10\.$'),
    (lambda y: {'prediction': y / 1}, r'float64 .*prediction\.astype\(int\)'),
    (lambda y: {'prediction': y / 2}, 'float64 .* as class numbers'),
    (lambda y: {'prediction': [y, y], 'scores': np.eye(12)[y]}, 'Axes are r'),
    (lambda y: {'prediction': [y[:200], y[200:]]}, r'np\.concatenate\(pred'),
    (lambda y: {'scores': _with(np.nan, y)}, 'example 5 in run 0 have NaN'),
    (lambda y: {'scores': _with(np.inf, y)}, 'example 5 in run 0 have NaN'),
    (lambda y: {'scores': np.full((288, 12), -np.inf)}, 'example 0 in run 0'),
    (lambda y: {'scores': np.eye(12, dtype=int)[y]}, r'scores\.astype\(float'),
    (lambda y: dict.fromkeys(_PAIR, y[:144]), 'Join what is predicted'),
    (lambda y: dict.fromkeys(_PAIR, np.tile(y, 5)), 'may be those of train'),
    (lambda y: dict.fromkeys(_PAIR, _of_ranks(y)), 'order: predict each once'),
    (lambda y: {'label': np.stack([y, y])}, r'all runs: give label\[0\]'),
    (lambda y: dict.fromkeys(_PAIR, np.r_[y, y[:8]]), 'once: a dis'),
    (lambda y: {'prediction': np.eye(12)[y]}, r'prediction\.argmax\(axis=-1\)'),
    (lambda y: {'prediction': np.eye(12, dtype=int)[y]}, r'argmax\(axis=-1\)'),
    (lambda y: {'label': np.eye(12)[y]}, r'label\.argmax\(axis=-1\)'),
    (lambda y: {'prediction': y[:, None]}, r'column: give prediction\[:, 0'),
    (lambda y: {'prediction': np.stack([y, y], 1)}, r'give prediction\.T\.'),
    (lambda y: {'prediction': y.reshape(9, 32)}, r'prediction\.reshape\(-1\)'),
    (lambda y: {'prediction': y.astype(str)}, 'found <U.* not their names'),
    (lambda y: {'scores': np.ones(288)}, 'examples and classes'),
    (lambda y: {'split': 'test\x1b[31m'}, r"one line, found 'test\\x1b"),
    (lambda y: {'scores': np.eye(12)[(y + 1) % 12]}, 'as -distances'),
    (lambda y: {'scores': np.eye(13)[y]}, r'\(1, 288, 12\) or \(288, 12\)'),
    (lambda y: {'class_names': [*_CLASS_NAMES[:-1], 'cat']}, "'cat'"),
    (lambda y: {'class_names': _CLASS_NAMES[:-1]}, 'found 11 names'),
    (lambda y: {'prediction': [y, y[1:]]}, 'expected numbers: '),
    (lambda y: {'scores': _Unconvertible()}, 'expected numbers: call detach'),
    (lambda y: {'method': 'a\x1b[31m'}, 'without control characters'),
    (lambda y: {'seed': [1, 2]}, r'seed: expected integers of shape \(1,\)'),
    (lambda y: {'draw': [0.5]}, r'draw: expected integers of shape \(1,\)'),
    (lambda y: {'split': 'train'}, 'expected 1,440 examples'),
    (lambda y: {'name': '2-FKd', **_FULL}, 'found 20,000 .*Give sample=True'),
  ],
)
def test_what_does_not_fit_is_one_clear_error(
  save, labels, tmp_path, change, message
):
  with pytest.raises(PredictionsError, match=message):
    save(**change(labels))
  assert not (tmp_path / 'p.npz').exists()


@pytest.mark.parametrize('library', ['torch', 'ml_dtypes', 'log'])
def test_scores_come_back_as_they_were_given(save, labels, tmp_path, library):
  given = scores = np.eye(12, dtype=np.float32)[labels]
  if library == 'torch':
    torch = pytest.importorskip('torch')
    given = torch.tensor(scores).bfloat16().requires_grad_()
  elif library == 'ml_dtypes':
    given = scores.astype(pytest.importorskip('ml_dtypes').bfloat16)
  else:
    with np.errstate(divide='ignore'):
      given = scores = np.log(scores)  # -inf
  save(scores=given)
  with np.load(tmp_path / 'p.npz') as file:
    found = file['scores']
  np.testing.assert_array_equal(found, scores, strict=True)
  read = predictions.read_predictions(tmp_path / 'p.npz')
  np.testing.assert_array_equal(read.scores, scores[None])


def _doubted(labels, predicted):
  made = predictions.make_predictions(_SUBSET, predicted, labels)
  return predictions.doubts(made, predictions.confusions(made))


@pytest.mark.parametrize('seed', range(5))
def test_what_looks_wrong_is_told(labels, seed):
  rng = np.random.default_rng(seed)
  good = np.where(rng.random(288) < 0.6, labels, rng.integers(0, 12, 288))
  weak = np.where(rng.random(288) < 0.3, labels, rng.integers(0, 12, 288))
  for honest in (labels, good, weak, (labels // 2) * 2):
    assert _doubted(labels, honest) == []
  for chance in (rng.permutation(good), np.full(288, 7)):
    assert _doubted(labels, chance) == [predictions.GUESSED]
  names = np.arange(12)
  for renamed in (names[::-1], np.roll(names, 1), np.roll(names, seed + 1)):
    assert _doubted(labels, renamed[good]) == [predictions.RENAMED]
  # Two of twelve are enough, and one run of two.
  names[[3, 8]] = [8, 3]
  best = np.where(rng.random(288) < 0.9, labels, good)
  pair = np.stack([best, names[best]])
  assert _doubted(labels, pair) == [predictions.RENAMED]
  same = np.stack([good, weak, good])
  assert _doubted(labels, same) == [predictions.IDENTICAL]


def test_the_order_of_many_shards_is_explained(save, labels, monkeypatch):
  several = dataclasses.replace(
    open_subset(_SUBSET, sample=True),
    shard_lengths={'train': [1440], 'test': [144, 144]},
  )
  monkeypatch.setattr(predictions, 'open_subset', lambda *_, **__: several)
  mixed = labels.reshape(2, 144).T.ravel()
  with pytest.raises(PredictionsError, match='interleave_cycle_length=1'):
    save(prediction=mixed, label=mixed)


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


@pytest.mark.usefixtures('empty_cache')
def test_without_the_data_the_sizes_of_classes_are_compared(save, tmp_path):
  with pytest.raises(PredictionsError, match='those of the sample'):
    save(sample=False, data_dir=tmp_path)
  assert not (tmp_path / 'p.npz').exists()


def _table_reader(opened):
  return lambda path: predictions.read_table(path, opened.subset, opened, True)


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
    ({'dataset': 'mnist'}, "cmnist or .* cmnist_sample, found .* of mnist'"),
    *(
      ({'about': about}, 'expected texts .* for method')
      for about in ('{', '[' * 100_000, '{"author": "me"}', '{"time": 1}', '[]')
    ),
    ({'class_names': np.arange(12)}, 'each of the 12 classes'),
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
  for read in (predictions.read_predictions, _table_reader(opened)):
    with pytest.raises(PredictionsError, match=r'p\.npz') as caught:
      read(path)
    # Nobody is advised to load what may hold code.
    assert 'pickle' not in str(caught.value)


def _pack(path, method=zipfile.ZIP_STORED, **changes):
  """Packs a file anew, with the bytes of some of its arrays changed."""
  with zipfile.ZipFile(path) as good:
    members = {name: good.read(name) for name in good.namelist()}
  members |= {f'{name}.npy': data for name, data in changes.items()}
  with zipfile.ZipFile(path, 'w', method) as packed:
    for name, data in members.items():
      packed.writestr(name, data)
  return packed


@pytest.mark.parametrize(
  ('descr', 'shape'),
  [
    ("'|u1'", f'({2**70},)'),
    ("'|u1'", '(True,)'),
    ("'|u1'", f'(0, {2**62})'),
    ("'|u1'", f'(0, {2**63})'),
    ("'<i8'", '(36L,)'),
    ("'|u1'", '(' * 9990),
    ("'|u1'", '-' * 9000 + '1'),
    ("'|u1'", '(288,)}\n  {1\n 2'),
  ],
)
def test_odd_headers_are_one_clear_error(
  save, opened, labels, tmp_path, descr, shape, recwarn
):
  save()
  text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
  head = b'\x93NUMPY\x01\0' + len(text).to_bytes(2, 'little') + text.encode()
  array = head + labels.astype(np.uint8).tobytes()
  (tmp_path / 'p.npy').write_bytes(array)
  _pack(tmp_path / 'p.npz', prediction=array)
  for read, name in (
    (predictions.read_predictions, 'p.npz'),
    (_table_reader(opened), 'p.npy'),
  ):
    with pytest.raises(PredictionsError) as caught:
      read(tmp_path / name)
    message = str(caught.value)
    assert message.count(name) == 1
    assert message.isprintable()
    assert 'trust' not in message
  assert not recwarn.list


@pytest.mark.parametrize('method', [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_flipped_bit_is_damage(save, tmp_path, method):
  save()
  path = tmp_path / 'p.npz'
  start = _pack(path, method).getinfo('label.npy').header_offset
  data = bytearray(path.read_bytes())
  data[start + 80] ^= 4
  path.write_bytes(data)
  with pytest.raises(PredictionsError, match='is not a file of predictions'):
    predictions.read_predictions(path)


# CSV --------------------------------------------------------------------------


@pytest.fixture(scope='module')
def two_sources():
  return open_subset(subsets.subset('2-FKd'), sample=True)


@pytest.mark.parametrize(
  'form', ['npy', 'numbers', 'names', 'header', 'quotes', 'digits']
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
    names = two_sources.subset.class_names if of_classes else range(20)
    quote = '"' * (form == 'quotes')
    lines = ['', 'prediction '] if form == 'header' else []
    lines += [f'{quote}{names[label]}{quote}' for label in labels]
    path.write_text('\n'.join(lines) + '\n  \n', 'utf-8')
  read = _table_reader(two_sources)(path)
  np.testing.assert_array_equal(read.predicted[0], labels)
  assert predictions.ORDER_ASSUMED in read.notes


@pytest.mark.parametrize(
  'header', ['label,prediction', '"Prediction","label"', ',label,prediction']
)
@pytest.mark.parametrize('of_classes', [False, True])
def test_columns_of_labels_and_predictions_are_scored(
  two_sources, tmp_path, header, of_classes
):
  labels = two_sources.split('test').labels
  predicted = np.where(np.arange(len(labels)) < 24, 0, labels)
  names = two_sources.subset.class_names if of_classes else range(20)
  columns = [labels, predicted]
  if header.startswith(','):  # As pandas writes an index.
    columns.insert(0, labels * 0)
  if header.startswith('"'):
    columns.reverse()
  path = tmp_path / 'p.csv'
  with path.open('w', encoding='utf-8', newline='') as file:
    file.write(header + '\r\n')
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
      [names[n] for n in row] for row in zip(*columns, strict=True)
    )
  for options in ({}, {'assume_order': True}):
    scored = cmnist_tfds.evaluate('2-FKd', path, sample=True, **options)
    assert scored.accuracy.value == (predicted == labels).mean()
    assert scored.notes == (predictions.SAMPLE_SCORED,)
  lines = path.read_text('utf-8').splitlines()
  path.write_text('\n'.join([lines[0], *lines[:0:-1]]), 'utf-8')
  with pytest.raises(PredictionsError, match='in another order'):
    cmnist_tfds.evaluate('2-FKd', path, sample=True)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('0\n1\n', r'shape \(1, 480\) or'),
    ('0,1\n' * 480, "below `label,prediction`, found '0,1'"),
    ('cat\n' * 480, "found 'cat'"),
    ('label\n' + '1\n' * 479, "`label,prediction`, found 'label'"),
    ('y_true,y_pred\n1,1\n', "found 'y_true,y_pred'"),
    ('label,prediction\n1;1\n', "found '1;1'"),
    ('label,prediction\n1,Bag\n2,3\n2,3\n', "found '1,Bag'"),
    ('1\n' * 479 + '0.5\n', r"found '0\.5'"),
    ('1\n' * 479 + 'bag\n', "numbers 0 to 19 or the names .* found 'bag'"),
    ('label,prediction\n' + '20,20\n' * 9, r'20 to 20\. Give label - 1'),
    ('label,prediction\n1,2,3\n', "found '1,2,3'"),
    ('9' * 5000 + '\n', "found '9{80}'"),
    ('\x1b[31m\n', r"found '\\x1b\[31m'"),
    ('"' + 'a' * 200_000, 'field'),
    ('', r'found int64 of shape \(0,\)'),
    (b'\xff\xfe\x00', 'utf-8'),
  ],
)
def test_wrong_bare_predictions_are_errors(
  two_sources, tmp_path, text, message
):
  path = tmp_path / 'p.csv'
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  with pytest.raises(PredictionsError, match=message) as caught:
    _table_reader(two_sources)(path)
  assert str(path) in str(caught.value)
  assert str(caught.value).isprintable()
