# SPDX-License-Identifier: Apache-2.0
"""Damages the metadata files of a prepared sample and reads it in all ways.

Each reader must give what it gives for the sound dataset, or one error of ours
that names the dataset and the command that mends it. Overwriting must then
restore every file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import pathlib
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

_TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS.parent)]

import numpy as np  # noqa: E402
import preparing  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402
import trials  # noqa: E402

import cmnist_tfds  # noqa: E402
from cmnist_tfds import cli  # noqa: E402
from cmnist_tfds.cache import store  # noqa: E402
from cmnist_tfds.system import atomic  # noqa: E402
from cmnist_tfds.system.errors import PreparationError  # noqa: E402

_NAME = 'X-12-r-1'
_PLACE = f'cmnist_sample/{_NAME}/1.0.0'
_FILES = (
  'dataset_info.json',
  'metadata.json',
  'features.json',
  'label.labels.txt',
  'source.labels.txt',
  'LICENSE',
  # TFDS keeps notes of all subsets in this file, which only it reads.
  '../../.config/metadata.json',
)


_DESCRIPTIONS = ('dataset_info.json', 'features.json', 'metadata.json')


class _WrongError(Exception):
  """A reader gave neither the right result nor the error."""


# Damages ---------------------------------------------------------------------

_CONTENTS: dict[str, Callable[[bytes], bytes]] = {
  'empty': lambda data: b'',
  'one blank': lambda data: b' ',
  'first half': lambda data: data[: len(data) // 2],
  'second half': lambda data: data[len(data) // 2 :],
  'without its last byte': lambda data: data[:-1],
  'NUL': lambda data: bytes(len(data)),
  'NUL from the middle': lambda data: data[: len(data) // 2].ljust(
    len(data), b'\0'
  ),
  'a block of NUL': lambda data: bytes(4096),
  '{}': lambda data: b'{}',
  '[]': lambda data: b'[]',
  '[{}]': lambda data: b'[{}]',
  'null': lambda data: b'null',
  'true': lambda data: b'true',
  'number': lambda data: b'12',
  'text': lambda data: b'"text"',
  'NaN': lambda data: b'NaN',
  'number of many digits': lambda data: b'9' * 10_000,
  'nested lists': lambda data: b'[' * 200_000 + b']' * 200_000,
  'nested tables': lambda data: b'{"a":' * 200_000,
  'UTF-16': lambda data: data.decode().encode('utf-16'),
  'byte order mark': lambda data: b'\xef\xbb\xbf' + data,
  'no UTF-8': lambda data: b'\xff\xfe\xfd' + data,
  'lone surrogate': lambda data: data.replace(b'"', b'"\\ud800', 1),
  'twice': lambda data: data + data,
  'DOS lines': lambda data: data.replace(b'\n', b'\r\n'),
  'one line': lambda data: data.replace(b'\n', b' '),
  'HTML': lambda data: b'<!DOCTYPE html><html><body>404</body></html>',
}


def _huge(path: pathlib.Path) -> None:
  with path.open('wb') as file:
    file.truncate(1 << 40)


_INSTEAD: dict[str, Callable[[pathlib.Path], object]] = {
  'missing': lambda path: None,
  'folder': pathlib.Path.mkdir,
  'pipe': os.mkfifo,
  'link to itself': lambda path: path.symlink_to(path.name),
  'broken link': lambda path: path.symlink_to('nowhere'),
  'link to a device': lambda path: path.symlink_to('/dev/zero'),
  'a terabyte': _huge,
}
_VALUES: tuple[Any, ...] = (
  *(None, True, 0, -1, 12.5, 1 << 70, 1e308, float('nan'), '', 'x', '-1'),
  *('9' * 5000, '../../x', '{DATASET.__class__}', [], [[]], [None], {}),
  *({'name': 'train'}, ['1'], '\ud800', 'A\nB'),
)


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
  """Yields each table or list in a JSON value, with each of its keys."""
  items = (
    value.items()
    if isinstance(value, dict)
    else enumerate(value)
    if isinstance(value, list)
    else ()
  )
  for key, inner in items:
    yield value, key
    yield from _nodes(inner)


def _change_json(data: bytes, rng: random.Random) -> bytes:
  value = json.loads(data)
  parent, key = rng.choice([*_nodes(value)])
  match rng.randrange(4):
    case 0:
      del parent[key]
    case 1 if isinstance(parent, list):
      parent.insert(key, parent[key])
    case 2 if isinstance(parent, list):
      rng.shuffle(parent)
    case _:
      parent[key] = rng.choice(_VALUES)
  return json.dumps(value).encode()


def _change_lines(data: bytes, rng: random.Random) -> bytes:
  lines = data.split(b'\n')
  at = rng.randrange(len(lines))
  match rng.randrange(4):
    case 0:
      del lines[at]
    case 1:
      lines.insert(at, rng.choice((b'0', b'Z', b' ', lines[0])))
    case 2:
      rng.shuffle(lines)
    case _:
      lines[at] += rng.choice((b' ', b'x', b'\r', b'\0'))
  return b'\n'.join(lines)


def _change_bytes(data: bytes, rng: random.Random) -> bytes:
  out = bytearray(data)
  for _ in range(rng.choice((1, 1, 1, 5, 50))):
    out[rng.randrange(len(out))] = rng.randrange(256)
  return bytes(out)


_KINDS = len(_CONTENTS) + len(_INSTEAD)


def _damage(path: pathlib.Path, seed: int) -> str:
  """Damages a file; returns how.

  The first seeds try each of the fixed damages, all others are random.
  """
  kind = seed // len(_FILES)
  if kind < len(_CONTENTS):
    name = [*_CONTENTS][kind]
    path.write_bytes(_CONTENTS[name](path.read_bytes()))
    return name
  if kind < _KINDS:
    name = [*_INSTEAD][kind - len(_CONTENTS)]
    path.unlink()
    _INSTEAD[name](path)
    return name
  rng = random.Random(seed)
  structured = _change_json if path.suffix == '.json' else _change_lines
  change = rng.choice((structured, structured, _change_bytes))
  path.write_bytes(change(path.read_bytes(), rng))
  return change.__name__


# Readers ---------------------------------------------------------------------


def _load_data(data_dir: pathlib.Path) -> Any:
  features = ('image', 'label', 'class_name', 'source')
  return _plain(
    cmnist_tfds.load_data(
      _NAME, features=features, data_dir=data_dir, sample=True
    )
  )


def _as_batches(data_dir: pathlib.Path) -> Any:
  batches = cmnist_tfds.as_batches(
    _NAME, 'all', 100, data_dir=data_dir, sample=True
  )
  return _plain([*batches.as_numpy_iterator()])


def _pytorch(data_dir: pathlib.Path) -> Any:
  from cmnist_tfds.load.torch_dataset import CMNIST

  opened = CMNIST(_NAME, 'train', data_dir=data_dir, sample=True)
  return opened.classes, _plain([image.numpy() for image, _ in opened])


def _tfds_load(data_dir: pathlib.Path) -> Any:
  loaded, info = tfds.load(
    f'cmnist_sample/{_NAME}',
    data_dir=data_dir,
    split='train',
    with_info=True,
  )
  names = info.features['label'].names
  examples = [[e['image'], e['label']] for e in loaded.as_numpy_iterator()]
  return names, info.splits['test'].num_examples, _plain(examples)


def _builder(data_dir: pathlib.Path) -> Any:
  builder = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=data_dir)
  names = {k: builder.info.features[k].names for k in ('label', 'source')}
  test = builder.as_dataset(split='test[:5]', as_supervised=True)
  return names, _plain([*test.as_numpy_iterator()])


def _plain(value: Any) -> Any:
  """Returns arrays as text and bytes, which can be compared."""
  if isinstance(value, np.ndarray):
    return value.dtype.str, value.shape, value.tobytes()
  if isinstance(value, list | tuple):
    return [_plain(inner) for inner in value]
  return value


def _command(*argv: str, output: str = '') -> Callable[[pathlib.Path], Any]:
  """Returns a reader that runs a command, which may write `output`."""

  def read(data_dir: pathlib.Path) -> Any:
    written = data_dir.parent / (output or 'nothing')
    given = ['-o', str(written)] if output else []
    try:
      out = _run_command(data_dir, *argv, *given)
      files = [p for p in (written, *written.rglob('*')) if p.is_file()]
      # `publish` copies descriptions as they are, even with other words.
      return out, {
        str(p): p.read_bytes()
        for p in files
        if p.name not in (atomic.MANIFEST, *_DESCRIPTIONS)
      }
    finally:
      shutil.rmtree(written, ignore_errors=True)
      written.unlink(missing_ok=True)

  return read


def _run_command(data_dir: pathlib.Path, *argv: str) -> str:
  """Runs a command; returns its output, or raises the error that it prints."""
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    status = cli.main([*argv, '--sample', '--data_dir', str(data_dir)])
  lines = err.getvalue().splitlines()
  if status == 0 and not lines:
    return out.getvalue()
  if status != 1 or len(lines) != 1 or not lines[0].startswith('cmnist: '):
    raise _WrongError(f'status {status}, on stderr: {err.getvalue()}')
  raise PreparationError(lines[0])


def _build(data_dir: pathlib.Path) -> None:
  """Builds what is there already; the output says how long it took."""
  _run_command(data_dir, 'build', _NAME)


# The first ones read each damaged dataset; the others take turns, because they
# take longer.
_ALWAYS = {
  'load_data': _load_data,
  'builder': _builder,
  'cmnist info': _command('info', _NAME),
  'cmnist build': _build,
}
_IN_TURN = {
  'tfds.load': _tfds_load,
  'as_batches': _as_batches,
  'PyTorch': _pytorch,
  'cmnist show': _command('show', _NAME, output='x.svg'),
  'cmnist show --histogram': _command(
    'show', _NAME, '--histogram', output='x.svg'
  ),
  'cmnist export': _command('export', _NAME, '--format', 'csv', output='csv'),
  'cmnist croissant': _command('croissant', _NAME, output='croissant'),
  'cmnist publish': _command('publish', _NAME, output='hub'),
  'cmnist catalog': _command('catalog', output='site'),
}
if importlib.util.find_spec('torch') is None:
  print('PyTorch is not installed, so its dataset is not tried.')
  del _IN_TURN['PyTorch']
# What these say of a dataset without metadata differs, and rightly so.
_TELL_PROOFS = {'cmnist info', 'cmnist croissant', 'cmnist publish'}


def _read(
  name: str, reader: Callable[[pathlib.Path], Any], data_dir: pathlib.Path
) -> tuple[str, Any]:
  try:
    return 'read', reader(data_dir)
  except PreparationError as error:
    message = str(error)
    for part in (str(data_dir), f'cmnist build {_NAME} --overwrite'):
      if part not in message:
        raise _WrongError(f'{name}: {message!r} lacks {part!r}') from error
    if '\n' in message or len(message) > 1000:
      raise _WrongError(f'{name}: no line: {message[:2000]!r}') from error
    return 'error', None


def _overwrite(data_dir: pathlib.Path, seed: int) -> None:
  if seed % 2:
    _run_command(data_dir, 'build', _NAME, '--overwrite')
    return
  mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
  tfds.load(
    f'cmnist_sample/{_NAME}',
    data_dir=data_dir,
    download_and_prepare_kwargs={
      'download_config': tfds.download.DownloadConfig(download_mode=mode)
    },
  )


def _contents(data_dir: pathlib.Path) -> dict[str, bytes]:
  return {
    path.name: path.read_bytes() for path in (data_dir / _PLACE).iterdir()
  }


class _Trials:
  """Trials in one folder."""

  def __init__(self, folder: pathlib.Path):
    self._sound = folder / 'sound'
    self._data_dir = folder / 'data'
    preparing.prepare(self._sound, _NAME)
    shutil.copytree(self._sound, self._data_dir)
    self._expected = {
      name: _read(name, reader, self._data_dir)
      for name, reader in (_ALWAYS | _IN_TURN).items()
    }
    assert all(read == 'read' for read, _ in self._expected.values())

  def try_one(self, seed: int) -> Iterator[str]:
    shutil.rmtree(self._data_dir)
    shutil.copytree(self._sound, self._data_dir)
    path = self._data_dir / _PLACE / _FILES[seed % len(_FILES)]
    how = _damage(path, seed)
    readers = dict(_ALWAYS)
    for turn in (seed, seed // len(_FILES) + 4):
      name = [*_IN_TURN][turn % len(_IN_TURN)]
      readers[name] = _IN_TURN[name]
    what = f'{path.name}: {how}'
    for name, reader in readers.items():
      try:
        outcome, value = _read(name, reader, self._data_dir)
      except Exception as error:
        raise _WrongError(f'{what}, read by {name}') from error
      no_metadata = path.name == 'metadata.json' and not os.path.lexists(path)
      if outcome == 'error':
        yield 'readings: one clear error'
      elif value == self._expected[name][1]:
        yield 'readings: right'
      elif no_metadata and name in _TELL_PROOFS:
        yield 'readings: without proofs, which nothing tells'
      else:
        raise _WrongError(f'{what}, read by {name}: other results')
    try:
      _overwrite(self._data_dir, seed)
    except Exception as error:
      raise _WrongError(f'{what}, overwritten') from error
    if _contents(self._data_dir) != _contents(self._sound):
      raise _WrongError(f'{what}: overwriting does not mend it')
    yield 'mended by overwriting'
    store.clear('arrays')


def main() -> int:
  logging.disable()
  tfds.disable_progress_bar()
  with tempfile.TemporaryDirectory() as folder:
    os.environ[store.CACHE_DIR_VARIABLE] = str(pathlib.Path(folder, 'cache'))
    started = _Trials(pathlib.Path(folder))
    return trials.run(
      __doc__, 1_000, started.try_one, seconds=60, most_mib=1024
    )


if __name__ == '__main__':
  sys.exit(main())
