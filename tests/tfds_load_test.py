# SPDX-License-Identifier: Apache-2.0
"""Builders read from the cache what TFDS reads from the shards."""

from __future__ import annotations

import functools
import operator
import pickle

import hypothesis
import numpy as np
import preparing
import pytest
import running
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import strategies as st

import cmnist_tfds  # noqa: F401


class Pair:
  """A builder of the package, and one of TFDS for the same shards."""

  def __init__(self, builder):
    self.ours = builder
    self.stock = tfds.builder_from_directory(builder.data_path)

  def check(self, split, **options):
    """Checks that both return equal datasets, or raise equal errors."""
    try:
      expected = self.stock.as_dataset(split=split, **options)
    except Exception as error:
      with pytest.raises(type(error)) as raised:
        self.ours.as_dataset(split=split, **options)
      assert str(raised.value) == str(error)
    else:
      found = self.ours.as_dataset(split=split, **options)
      _check_equal(found, expected)


def _check_equal(found, expected):
  if isinstance(expected, tf.data.Dataset):
    assert found.element_spec == expected.element_spec
    assert found.cardinality() == expected.cardinality()
    assert found.options() == expected.options()
    try:
      elements = _elements(expected)
    except tf.errors.FailedPreconditionError:
      return  # TFDS asks for less than no examples of 'train[-1:1]'.
    _check_equal(_elements(found), elements)
  elif isinstance(expected, (tf.Tensor, np.ndarray)):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
  else:
    assert type(found) is type(expected)
    if isinstance(expected, dict):
      assert [*found] == [*expected]
      found, expected = found.values(), expected.values()
    for one, other in zip(found, expected, strict=True):
      _check_equal(one, other)


def _elements(dataset):
  """Returns the elements, or batches of them where they are examples."""
  first = tf.nest.flatten(dataset.element_spec)[0]
  is_batched = [*first.shape[:1]] == [None]
  return [*(dataset if is_batched else dataset.batch(4096)).as_numpy_iterator()]


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
  """Pairs by the number of shards of the training set."""
  folder = tmp_path_factory.mktemp
  make = functools.partial(preparing.prepare, name='X-12-r-10')
  return {n: Pair(make(folder('data'), num_shards=n)) for n in (1, 3, 20)}


# Equal to TFDS ---------------------------------------------------------------


@st.composite
def _slices(draw):
  split = draw(st.sampled_from(['train', 'test']))
  unit = draw(st.sampled_from(['', '%', 'shard']))
  limit = {'': 288, '%': 100, 'shard': 3}[unit]
  start, stop = (draw(st.integers(-limit, limit) | st.none()) for _ in range(2))
  if start is stop is None:
    return split
  start, stop = ('' if n is None else f'{n}{unit}' for n in (start, stop))
  return f'{split}[{start}:{stop}]'


_INSTRUCTIONS = st.builds(
  tfds.core.ReadInstruction,
  st.sampled_from(['train', 'test']),
  from_=st.integers(0, 50),
  to=st.integers(50, 100),
  unit=st.sampled_from(['%', 'abs']),
)
_SPLITS = st.one_of(
  st.lists(_slices(), min_size=1, max_size=3).map('+'.join),
  _INSTRUCTIONS,
  st.builds(operator.add, _INSTRUCTIONS, _INSTRUCTIONS),
  st.sampled_from(['all', *tfds.even_splits('train', 3)]),
)
_CONFIGS = st.fixed_dictionaries(
  {},
  optional={
    'interleave_cycle_length': st.sampled_from([1, 2, 5, 16, 64, None]),
    'interleave_block_length': st.sampled_from([1, 3, 16, 500]),
    'skip_prefetch': st.booleans(),
    'try_autocache': st.booleans(),
    'shuffle_reshuffle_each_iteration': st.booleans(),
    'add_tfds_id': st.booleans(),
    'assert_cardinality': st.booleans(),
    'num_parallel_calls_for_decode': st.sampled_from([1, 2]),
    'num_parallel_calls_for_interleave_files': st.sampled_from([1, None]),
    'override_buffer_size': st.just(1 << 16),
    'experimental_interleave_sort_fn': st.just(lambda files: files[::-1]),
    'file_format': st.just('tfrecord'),
  },
)


@st.composite
def _structures(draw):
  split = st.shared(_SPLITS)
  return draw(
    split
    | st.lists(split, max_size=2)
    | st.fixed_dictionaries({'a': split, 'b': st.tuples(split)})
    | st.none()
  )


@pytest.mark.parametrize(
  'max_examples', [10, pytest.param(100, marks=pytest.mark.slow)]
)
def test_datasets_equal_those_of_tfds(pairs, max_examples):
  @hypothesis.settings(max_examples=max_examples)
  @hypothesis.given(
    num_shards=st.sampled_from([1, 3, 20]),
    split=_structures(),
    batch_size=st.sampled_from([None, -1, 1, 7, 128, 5000]),
    as_supervised=st.booleans(),
    shuffle_files=st.booleans(),
    config=_CONFIGS,
  )
  def check(num_shards, split, config, **options):
    config = tfds.ReadConfig(shuffle_seed=1, **config)
    config.options.deterministic = True
    pairs[num_shards].check(split, read_config=config, **options)

  check()


@pytest.mark.parametrize('num_shards', [1, 3])
@pytest.mark.parametrize('split', ['train+test', 'train+test+test[:1]'])
def test_one_batch_of_more_than_there_are_fails_as_in_tfds(
  pairs, num_shards, split
):
  pairs[num_shards].check(split, batch_size=-1)


@pytest.mark.parametrize(
  ('name', 'num_shards'),
  [('cmnist_sample/X-12-r-10', 3), ('cmnist/2-DvTe', None)],
  ids=['reduced', 'extension'],
)
def test_other_datasets_equal_those_of_tfds(
  name, num_shards, tmp_path, origin_files
):
  builder = tfds.builder(name, data_dir=tmp_path)
  how = {'manual_dir': origin_files, 'num_shards': num_shards}
  config = tfds.download.DownloadConfig(**how)
  builder.download_and_prepare(download_config=config)
  pair = Pair(builder)
  pair.check(None)
  pair.check('train[5:90]+test', batch_size=-1, as_supervised=True)


def _graph(dataset):
  """Returns what TensorFlow runs, which names the kind of the files it reads."""
  return dataset._as_serialized_graph(allow_stateful=True).numpy()


@pytest.mark.parametrize(
  ('num_shards', 'options', 'reads_shards'),
  [
    (1, {}, False),
    (3, {}, False),
    (1, {'shuffle_files': True}, False),
    (3, {'shuffle_files': True}, True),
    (1, {'read_config': tfds.ReadConfig(interleave_cycle_length=1)}, False),
    (1, {'read_config': tfds.ReadConfig(file_format='tfrecord')}, False),
    (1, {'read_config': tfds.ReadConfig(add_tfds_id=True)}, True),
    (1, {'decoders': {'image': tfds.decode.SkipDecoding()}}, True),
    (1, {'decoders': tfds.decode.PartialDecoding({'label': True})}, True),
  ],
)
def test_what_tfds_must_read(pairs, num_shards, options, reads_shards):
  pair = pairs[num_shards]
  dataset = pair.ours.as_dataset(split='train', **options)
  assert (b'TFRecord' in _graph(dataset)) == reads_shards
  if not options.get('shuffle_files'):
    pair.check('train', **options)


@pytest.mark.usefixtures('empty_cache')
def test_shards_enter_the_cache_where_it_can_be_written(tmp_path, monkeypatch):
  """Other packages do not say of which origin files the examples are."""
  (preparing.prepare(tmp_path).data_path / 'metadata.json').unlink()
  pair = Pair(tfds.builder('cmnist_sample/X-12', data_dir=tmp_path))
  monkeypatch.setenv('CMNIST_CACHE_DIR', '/dev/null/cache')
  for is_mapped in (False, True):
    graph = _graph(pair.ours.as_dataset(split='test'))
    assert (b'TFRecord' in graph) != is_mapped
    pair.check('test')
    monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))


# Uses ------------------------------------------------------------------------


def test_a_dataset_is_saved_distributed_and_resumed(pairs, tmp_path):
  dataset = pairs[3].ours.as_dataset(split='train', as_supervised=True)
  images = _elements(dataset)[0][0]
  dataset.save(str(tmp_path / 'saved'))
  snapshot = dataset.snapshot(str(tmp_path / 'snapshot'))
  saved = tf.data.Dataset.load(str(tmp_path / 'saved'))
  for other in (saved, snapshot, dataset.cache()):
    np.testing.assert_array_equal(_elements(other)[0][0], images)
  strategy = tf.distribute.MirroredStrategy(['CPU:0'])
  distributed = strategy.experimental_distribute_dataset(dataset.batch(4096))
  np.testing.assert_array_equal(next(iter(distributed))[0], images)
  iterator = iter(dataset)
  for _ in range(70):
    next(iterator)
  path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / 'point'))
  again = iter(dataset)
  tf.train.Checkpoint(iterator=again).restore(path)
  np.testing.assert_array_equal(next(again)[0], images[70])


def test_keras_trains(pairs):
  train, test = pairs[1].ours.as_dataset(
    split=['train', 'test'], as_supervised=True
  )
  model = tf.keras.Sequential(
    [tf.keras.layers.Flatten(), tf.keras.layers.Dense(12)]
  )
  loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile('adam', loss, metrics=['accuracy'])
  model.fit(train.shuffle(10_000).batch(128), verbose=0)
  assert model.evaluate(test.batch(128), verbose=0)[1] > 0


@pytest.mark.slow
@pytest.mark.parametrize('batch_size', [-1, None, 128])
def test_memory_is_that_of_the_pixels(batch_size, tmp_path, origin_files):
  """Of the memory that is not that of mapped files."""
  code = f"""
import pathlib, threading, time
import tensorflow as tf, tensorflow_datasets as tfds, cmnist_tfds

def used():
  status = pathlib.Path('/proc/self/status').read_text()
  return int(status.partition('RssAnon:')[2].split()[0]) * 1024

def watch():
  while True:
    seen.append(used())
    time.sleep(0.001)

def read(split, batch_size):
  found = builder.as_dataset(split=split, batch_size=batch_size)
  if batch_size != -1:
    for _ in found.batch(128) if batch_size is None else found:
      pass
  return found

builder = tfds.builder('cmnist/2-FKd', data_dir={str(tmp_path)!r})
builder.download_and_prepare(
  download_config=tfds.download.DownloadConfig(manual_dir={str(origin_files)!r})
)
for size in ({batch_size}, -1):
  read('test[:1000]', size)
before, seen = used(), []
threading.Thread(target=watch, daemon=True).start()
read('train', {batch_size})
grown = (max(seen) - before) / (120_000 * 784)
assert grown < 1.3, grown
print(grown)
"""
  running.works('-c', code)


# Data sources ----------------------------------------------------------------


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
  """Data sources of TFRecord files, and TFDS's of array_record files."""
  folder = tmp_path_factory.mktemp('array_record')
  made = preparing.prepare(folder, file_format='array_record', num_shards=3)
  stock = tfds.builder_from_directory(made.data_path)
  folder = tmp_path_factory.mktemp('tfrecord')
  ours = preparing.prepare(folder, num_shards=3)
  assert ours.info.file_format == tfds.core.FileFormat.TFRECORD
  return ours.as_data_source, stock.as_data_source


def _check_example(found, expected):
  assert [*found] == [*expected]
  for name, value in expected.items():
    assert type(found[name]) is type(value)
    np.testing.assert_array_equal(found[name], value, strict=True)


def test_sources_equal_those_of_array_record(sources):
  split = {'a': ['train', 'test[:20%]'], 'b': ('train[9:]+test',)}
  ours, stock = (source(split) for source in sources)
  assert isinstance(ours['b'], tuple)
  for found, expected in zip(
    (*ours['a'], *ours['b']), (*stock['a'], *stock['b']), strict=True
  ):
    assert len(found) == len(expected)
    keys = [0, len(expected) - 1, 7, 7]
    for one, other in zip(
      found.__getitems__(keys), expected.__getitems__(keys), strict=True
    ):
      _check_example(one, other)
    for one, other in zip(found, expected, strict=True):
      _check_example(one, other)
  assert [*sources[0]()] == [*sources[1]()] == ['train', 'test']
  for keys, error in (([1.5], TypeError), ([1440], IndexError)):
    with pytest.raises(error):
      sources[0]('train').__getitems__(keys)


def test_loaders_read_a_source(sources):
  import grain.python as grain
  from absl import flags

  torch_data = pytest.importorskip('torch.utils.data')

  source = sources[0]('test')
  expected = [example['label'] for example in source]
  flags.FLAGS.mark_as_parsed()  # As `absl.app.run` does.
  sampler = grain.SequentialSampler(len(source), grain.NoSharding())
  loader = grain.DataLoader(data_source=source, sampler=sampler, worker_count=2)
  assert [example['label'] for example in loader] == expected
  loader = torch_data.DataLoader(
    source, 50, num_workers=2, multiprocessing_context='spawn'
  )
  labels = [label for batch in loader for label in batch['label'].tolist()]
  assert labels == expected
  _check_example(pickle.loads(pickle.dumps(source))[3], source[3])


def test_data_source_reads_any_format(tmp_path, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  preparing.prepare(tmp_path)
  assert len(tfds.data_source('cmnist_sample/X-12', split='test')) == 288
  assert [path.name for path in tmp_path.glob('*/*/*/*array*')] == []
  for named in (tfds.core.FileFormat.ARRAY_RECORD, 'array_record'):
    builder = tfds.builder('cmnist_sample/X-12', file_format=named)
    assert len(builder.as_data_source('test', file_format=named)) == 288
  with pytest.raises(NotImplementedError, match='array_record'):
    tfds.data_source(
      'cmnist_sample/X-12',
      split='test',
      decoders={'image': tfds.decode.SkipDecoding()},
    )
  source = tfds.data_source('cmnist_sample/X-12-r-5', split='train')
  assert len(source) == 60
