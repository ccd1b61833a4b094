# SPDX-License-Identifier: Apache-2.0
"""Uses the package where TensorFlow cannot be imported.

Prints a line on stderr for each use: its name, a tab, and the repr of 'done'
or of the error's class and message. Uses whose other optional library is not installed are
left out. Imports of TensorFlow fail as if it were not installed, so the
program does the same in every environment.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys


class _WithoutTensorFlow:
  """A finder of modules that does not find TensorFlow."""

  def __init__(self, finder):
    self._finder = finder

  def find_spec(self, name, path=None, target=None):
    if name.partition('.')[0] == 'tensorflow':
      return None
    return self._finder.find_spec(name, path, target)

  def __getattr__(self, name):
    return getattr(self._finder, name)


# TFDS takes TensorFlow as imported if `sys.modules` has any entry for it.
sys.meta_path[:] = map(_WithoutTensorFlow, sys.meta_path)

import tensorflow_datasets as tfds  # noqa: E402

import cmnist_tfds  # noqa: E402
from cmnist_tfds import cli  # noqa: E402

_FOLDER = pathlib.Path(sys.argv[1])
_DATA = _FOLDER / 'data'
_ARRAY_RECORD = _FOLDER / 'array_record'


def _command(*words, sample=True):
  """Returns what runs a command, which must not fail."""

  def run():
    where = ['--sample', '--data_dir', str(_DATA)] if sample else []
    assert cli.main([*map(str, words), *where]) == 0

  return run


def _written(command, name, *words):
  """Returns what runs a command that writes X-12 to a name in the folder."""
  return _command(command, 'X-12', *words, '-o', _FOLDER / name)


def _array_record():
  builder = tfds.builder(
    'cmnist_sample/X-12', data_dir=_ARRAY_RECORD, file_format='array_record'
  )
  builder.download_and_prepare()
  cmnist_tfds.load_data(
    'X-12', split='test', sample=True, data_dir=_ARRAY_RECORD
  )


def _data_source():
  source = tfds.data_source(
    'cmnist_sample/X-12',
    split='train',
    data_dir=_ARRAY_RECORD,
    builder_kwargs={'file_format': 'array_record'},
  )
  assert source[0]['image'].shape == (28, 28, 1)


def _load_data():
  (images, _), _ = cmnist_tfds.load_data('X-12', sample=True, data_dir=_DATA)
  assert images.shape == (1440, 28, 28)


def _pytorch():
  from cmnist_tfds.load.torch_dataset import CMNIST

  image, _ = CMNIST('X-12', 'train', sample=True, data_dir=_DATA)[0]
  assert image.shape == (1, 28, 28)


def _info():
  builder = tfds.builder('cmnist_sample/X-12', data_dir=_DATA)
  assert builder.info.splits['train'].num_examples == 1440
  assert 'ClassLabel' in repr(builder.info)
  tfds.builder_from_directory(builder.data_dir)
  tfds.dataset_collection('cmnist_all')


def _batches():
  cmnist_tfds.as_batches('X-12', 'train', 32, sample=True, data_dir=_DATA)


def _load(name, **kwargs):
  return lambda: tfds.load(f'cmnist_sample/{name}', data_dir=_DATA, **kwargs)


# Each use, and the optional libraries it needs.
_USES = {
  'build': (_command('build', 'X-12', '2-FKd-r-5'), ()),
  'build --jobs': (_command('build', 'X-24', '2-FKm', '--jobs', 2), ()),
  'overwrite': (_command('build', 'X-12', '--overwrite'), ()),
  'array_record': (_array_record, ()),
  'data_source': (_data_source, ('PIL',)),
  'load_data': (_load_data, ()),
  'torch_dataset': (_pytorch, ('torch',)),
  'info of TFDS': (_info, ()),
  'info': (_command('info', 'X-12'), ()),
  'list': (_command('list', sample=False), ()),
  'tfds-pr': (_command('tfds-pr', _FOLDER / 'pr', sample=False), ()),
  **{
    f'export {form}': (_written('export', form, '--format', form), ())
    for form in ('idx', 'png', 'npz', 'csv')
  },
  'show SVG': (_written('show', 'x.svg'), ()),
  'show PNG': (_written('show', 'x.png'), ('PIL',)),
  'catalog': (_command('catalog', '-o', _FOLDER / 'site'), ('jinja2', 'PIL')),
  'croissant': (_written('croissant', 'croissant'), ('mlcroissant',)),
  'publish': (_written('publish', 'hub'), ('mlcroissant',)),
  'tfds.load': (_load('X-12', split='train'), ()),
  'tfds.load of what is not prepared': (_load('2-FKd-r-1'), ()),
  'tfds.load as arrays': (_load('X-12', batch_size=-1), ()),
  'as_batches': (_batches, ()),
}

if __name__ == '__main__':  # Processes of `build --jobs` import this module.
  _FOLDER.mkdir(exist_ok=True)
  for _use, (_run, _libraries) in _USES.items():
    if not all(map(importlib.util.find_spec, _libraries)):
      continue
    try:
      _run()
      _result = 'done'
    except Exception as error:
      _result = f'{type(error).__name__}: {error}'
    print(_use, repr(_result), sep='\t', file=sys.stderr)
  assert 'tensorflow' not in sys.modules
