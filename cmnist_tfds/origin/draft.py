# SPDX-License-Identifier: Apache-2.0
"""Drafts the declaration of a source from files that a user has.

What is unambiguous is taken, and the draft begins with what was taken and what
was left out. What is ambiguous is refused with the option that decides it.
"""

from __future__ import annotations

import collections
import contextlib
import json
import math
import pathlib
import posixpath
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import picture_files, tables
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.system import atomic, streams
from cmnist_tfds.system.errors import OriginFileError

# What names of folders, of files and of arrays say.
_SPLITS = {
  'train': re.compile('train(ing)?'),
  'test': re.compile('test(ing)?|t10k'),
  'val': re.compile('(?<![a-z])val(?![a-z])|valid(ation)?'),
}
# A name that speaks of labels wins.
_ROLES = {
  'images': re.compile('image|img|data|(?<![a-z])x(?=train|test|[^a-z]|$)'),
  'labels': re.compile('label|target|class|(?<![a-z])y(?=train|test|[^a-z]|$)'),
}

# The part of the examples that is for test, where nothing says which are.
_TEST_PART = 7

# If no pixel is brighter, pixels may have been scaled.
_DARK = 16

_TABLES = ('.csv', '.csv.gz', '.parquet')
_ARCHIVES = ('.zip', '.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz')


class Options(NamedTuple):
  """What decides where files can be understood in several ways.

  Attributes:
    first: How many examples of each class are for test, where no files are.
    min_examples: Classes with fewer examples are left out, of pictures and of
      NPY files.
    images: The arrays, or the column of a Parquet file, that have the images.
    labels: The arrays that have the labels.
    label_column: The column that has the labels: its name, or its number from 0.
    test: What is for test: 'test' or 'val'.
    scale: The pixel that is white; 255 takes pixels as they are.
  """

  first: int | None = None
  min_examples: int = 1
  images: Sequence[str] = ()
  labels: Sequence[str] = ()
  label_column: str | None = None
  test: str = 'test'
  scale: int | None = None


# Some examples: labels or names of classes, images (n, ...), and where they are.
_Chunk = tuple[Sequence[int | str], np.ndarray, object]


class _Part(NamedTuple):
  """Files that may be a split.

  Attributes:
    what: What they are, for messages.
    files: What the declaration says of them. It is complete once all is read.
    chunks: The examples.
  """

  what: str
  files: dict[str, Any]
  chunks: Iterator[_Chunk]


class _Found(NamedTuple):
  """What there is.

  Attributes:
    fields: The fields of the declaration that say how it is read.
    left: What is left out; reading may add to it.
    parts: By 'train', 'test', 'val', or '' if their names do not say.
  """

  fields: dict[str, Any]
  left: list[str]
  parts: dict[str, _Part]


class _Images:
  """What images have in common."""

  def __init__(self) -> None:
    self.shapes: set[tuple[int, ...]] = set()
    self.brightest = self.sum = self.size = 0

  def read(self, chunks: Iterator[_Chunk]) -> collections.Counter[Any]:
    """Returns how many examples of each class there are."""
    counts: collections.Counter[Any] = collections.Counter()
    for labels, images, where in chunks:
      if images.size == 0 or images.ndim < 2:
        raise OriginFileError(
          f'{where}: expected images (n, height, width), found {images.shape}'
        )
      counts.update(labels)
      self.shapes.add(images.shape[1:])
      self.brightest = max(self.brightest, int(images.max()))
      self.sum += int(images.sum())
      self.size += images.size
    return counts

  def fields(
    self, path: pathlib.Path, layout: str, scale: int | None
  ) -> dict[str, Any]:
    """Returns the fields of the declaration, or refuses the images.

    Args:
      path: The files, for messages.
      layout: Their layout.
      scale: What is to be white, if the user has said.
    """
    white = scale or 255
    if self.brightest > white or (0 < self.brightest <= _DARK and not scale):
      raise OriginFileError(
        f'{path}: the brightest pixel is {self.brightest}; --scale N makes pixels'
        ' of N white, --scale 255 takes pixels as they are'
      )
    shapes = self.shapes
    if len(shapes) > 1:  # Only some pictures may have colors.
      shapes = {shape[:2] for shape in shapes}
    if len(shapes) > 1 and layout != 'folder':
      raise OriginFileError(
        f'{path}: expected images of one shape, found {sorted(shapes)[:5]}'
      )
    shape = next(iter(shapes)) if len(shapes) == 1 else ()
    steps = {
      'grey': any(len(shape) > 2 for shape in self.shapes),
      # The images of MNIST are light on dark.
      'invert': self.sum > self.size * (white // 2),
      'resize': math.prod(shape[:2]) != IMAGE_SIZE**2,
    }
    convert: list[Any] = [{'scale': white}] if white < 255 else []
    convert += [step for step, needed in steps.items() if needed]
    fields = {'shape': list(shape), 'convert': convert}
    return {name: value for name, value in fields.items() if value}


def draft(path: pathlib.Path, *, key: str, title: str, **options: Any) -> str:
  """Drafts the declaration of the files at a path.

  Args:
    path: A folder of pictures, in a folder for each class, perhaps below
      folders `train` and `test`; an archive of them; a folder of IDX, NPZ,
      NPY, CSV or Parquet files; or one NPZ, CSV or Parquet file.
    key: The key of the source.
    title: The title of the source.
    **options: The fields of `Options`.

  Returns:
    The declaration, in TOML, for a file in the folder of `path`. It begins with
    a comment that says what was taken and what was left out.

  Raises:
    OriginFileError: If files are damaged, or it is not clear what they hold.
    OSError: If files cannot be read.
  """
  path, asked = path.absolute(), Options(**options)
  path.stat()  # Raises an error if there is nothing.
  found = _find(path, asked)
  chosen = _choose(path, found, asked)
  images = _Images()
  counts = {name: images.read(part.chunks) for name, part in chosen.items()}
  names = sorted(set().union(*counts.values()), key=_order)
  # Numbers are raw labels. Names in the same column get those that follow.
  raw = [name for name in names if isinstance(name, int)]
  while len(raw) < len(names):
    raw.append(raw[-1] + 1 if raw else 0)
  folders = list(map(str, names))
  classes = list(map(_character, folders))
  source: dict[str, Any] = {'key': key, 'title': title, 'classes': classes}
  source['labels'] = raw
  if classes != folders:
    source['folders'] = folders
  head = {'homepage': 'not published', 'license': 'None stated'}
  head |= {'citation': f'@misc{{{key}}}', **found.fields}
  head |= images.fields(path, found.fields['layout'], asked.scale)
  written: dict[str, dict[str, Any]] = {'': head, '[[source]]': source}
  notes = []
  for split, count in counts.items():
    numbers = [count[name] for name in names]
    fields = {'num_examples': sum(numbers), 'class_counts': numbers}
    written[f'[source.{split}]'] = fields | chosen[split].files
    notes.append(f'{split}: {sum(numbers):,} images, {chosen[split].what}')
    if missing := [name for name in names if not count[name]]:
      notes.append(f'not in {split}: {_few(missing)}')
  if 'examples' in counts:
    count = counts['examples']
    least = min(count.values(), default=0)
    first = asked.first or max(1, least // _TEST_PART)
    if few := [name for name in names if count[name] <= first]:
      raise OriginFileError(
        f'{path}: too few images for train and test: of {_few(few)}; leave out'
        f' such classes of pictures or NPY files with --min_examples {first + 1}'
      )
    source['split'] = {'first': first}
    notes.append(f'for test: the first {first:,} of each class')
  if 'convert' in head:
    notes.append(f'converted: {_toml(head["convert"])}')
  notes += [f'left out: {what}' for what in found.left]
  lines = [f'# {"".join(c for c in n if c.isprintable())}' for n in notes]
  for name, table in written.items():
    lines += ['', name] * bool(name)
    lines += [f'{field} = {_toml(value)}' for field, value in table.items()]
  return '\n'.join(lines) + '\n'


def _choose(
  path: pathlib.Path, found: _Found, asked: Options
) -> dict[str, _Part]:
  """Returns what is for train and for test, or the examples of both."""
  parts = dict(found.parts)
  if asked.first and asked.test in parts:
    raise OriginFileError(
      f'{path}: --first is not for files that have a split for {asked.test}'
    )
  needed = asked.test == 'val' or ('val' in parts and not asked.first)
  if needed and asked.test not in parts:
    raise OriginFileError(
      f'{path}: found {_few([p.what for p in parts.values()])}, but no split for'
      f' {asked.test}; --test val uses the validation split as the test split,'
      ' --first N the first N examples of each class'
    )
  kinds = {'train': 'train', 'test': asked.test}
  chosen = {n: parts.pop(kind) for n, kind in kinds.items() if kind in parts}
  if chosen.keys() == {'train'}:
    chosen = {'examples': chosen['train']}
  elif not chosen and '' in parts:
    chosen = {'examples': parts.pop('')}
  for part in parts.values():
    size = 0
    with contextlib.suppress(OriginFileError):
      size = sum(len(labels) for labels, _, _ in part.chunks)
    found.left.append(f'{size:,} images, {part.what}' if size else part.what)
  if not chosen:
    raise OriginFileError(
      f'{path}: expected images of each class, or images and labels, as their'
      f' names say; found {_few(found.left) or "nothing"}'
    )
  return chosen


def _few(names: Sequence[Any]) -> str:
  return ', '.join(map(str, names[:5])) + (', ...' if len(names) > 5 else '')


def _order(name: int | str) -> tuple[Any, ...]:
  """Sorts numbers first, and names that end in numbers by these."""
  begin = re.sub('[0-9]{1,18}$', '', str(name))
  return isinstance(name, str), begin, int(str(name)[len(begin) :] or -1), name


def _character(name: str) -> str:
  """Returns the character that a name such as U+4E00 stands for, or the name."""
  match = re.fullmatch(r'U\+([0-9A-Fa-f]{4,5})', name)
  character = chr(int(match[1], 16)) if match else ''
  return character if character.isprintable() and character else name


def _toml(value: Any) -> str:
  """Returns a value as TOML writes it; strings of JSON are alike."""
  if isinstance(value, dict):
    return f'{{ {", ".join(f"{n} = {_toml(v)}" for n, v in value.items())} }}'
  if isinstance(value, list):
    # A line for each file.
    files = any(isinstance(each, dict) and 'path' in each for each in value)
    separator = ',\n  ' if files else ', '
    return f'[{separator.join(map(_toml, value))}]'
  return json.dumps(value, ensure_ascii=False).replace('\x7f', '\\u007f')


def _kind(name: str, match: Callable[..., Any] = re.search) -> str:
  """Returns the split that a name speaks of; '' if of none."""
  return next((k for k, p in _SPLITS.items() if match(p, name.lower())), '')


def _facts(path: pathlib.Path, folder: str = '') -> dict[str, Any]:
  """Returns the path of a file below a folder, its size and its SHA-256."""
  with path.open('rb') as stream:
    digest = atomic.sha256(stream)
    size = stream.tell()
  return {'path': f'{folder}{path.name}', 'size': size, 'sha256': digest}


# What there is ----------------------------------------------------------------


def _find(path: pathlib.Path, asked: Options) -> _Found:
  files, folder = [path], ''
  if path.is_dir():
    shown = (p for p in path.iterdir() if not p.name.startswith('.'))
    files, folder = sorted(shown, key=lambda p: _order(p.stem)), f'{path.name}/'
  packed = not folder and path.name.lower().endswith(_ARCHIVES)
  if packed or any(p.is_dir() for p in files):
    return _find_pictures(path, asked)
  if found := [p for p in files if p.name.lower().endswith(_TABLES)]:
    left = [p.name for p in files if p not in found]
    return _find_tables(found, folder, asked)._replace(left=left)
  arrays = {p.name: (p, '') for p in files}
  if not folder and path.suffix.lower() == '.npz':
    with picture_files.faults(str(path)), zipfile.ZipFile(path) as opened:
      names = [name.removesuffix('.npy') for name in opened.namelist()]
    arrays = {name: (path, name) for name in names}
  return _find_arrays(path, folder, arrays, asked)


def _find_pictures(path: pathlib.Path, asked: Options) -> _Found:
  """Finds folders of pictures, one for each class, perhaps below splits."""
  archive = None if path.is_dir() else path.read_bytes()

  def opened(folder: str) -> PictureFiles:
    if archive is None:
      return picture_files.open_folder(path / folder)
    return picture_files.open_archive(archive, folder or '.', str(path))

  root = opened('')
  # Archives often have one folder that holds everything.
  above = {posixpath.dirname(posixpath.dirname(name)) for name in root.names}
  inside = posixpath.commonpath(above) if above else ''
  if inside and archive is None:
    raise OriginFileError(
      f'{path}: the folders of classes lie deeper; run: cmnist source new'
      f' {shlex.quote(f"{path}/{inside}/")}'
    )
  depth = inside.count('/') + bool(inside)
  tops = sorted({name.split('/')[depth] for name in root.names})
  kinds = {top: kind for top in tops if (kind := _kind(top, re.fullmatch))}
  if len(kinds) < 2:
    kinds = {'': ''}
  others = collections.Counter(
    posixpath.splitext(n)[1] or n for n in root.others
  )
  left = [f'files {kind}: {count:,}' for kind, count in others.items()]
  outside, parts = len(root.names), {}
  for top, kind in kinds.items():
    member = posixpath.join(inside, top).rstrip('/')
    files = opened(member)
    classes: dict[str, list[str]] = {}
    for name in files.names:
      if '/' in name:
        classes.setdefault(name.partition('/')[0], []).append(name)
    outside -= sum(map(len, classes.values()))
    if few := [c for c, n in classes.items() if len(n) < asked.min_examples]:
      count = sum(len(classes.pop(c)) for c in few)
      left.append(f'pictures of {_few(few)}: {count:,}')
    fields = {'path': f'{path.name}/{top}'.rstrip('/')}
    if archive is not None:
      name = f'{path.name}.{top or "examples"}'
      fields = {'path': name, 'member': member or '.'}
    what = f'folders in {fields["path"]}: {_few(list(classes))}'
    if classes:
      chunks = _read_pictures(files, classes, fields)
      parts[kind] = _Part(what, {'pictures': fields}, chunks)
  if outside:
    left.append(f'pictures outside of the folders of classes: {outside:,}')
  common = {} if archive is None else {'archive': _facts(path)}
  return _Found({'layout': 'folder', **common}, left, parts)


def _read_pictures(
  files: PictureFiles, classes: Mapping[str, list[str]], fields: dict[str, Any]
) -> Iterator[_Chunk]:
  names = [(c, name) for c, names in classes.items() for name in names]
  for folder, name in streams.progress_bar(
    names, desc='Reading', unit=' pictures', leave=False
  ):
    where = f'{files.where}/{name}'
    image = picture_files.decode(files.read(name), where)
    yield [folder], image[None], where
  # The hash of its archive proves a member.
  if 'member' not in fields:
    fields['fingerprint'] = files.fingerprint()


def _find_arrays(
  path: pathlib.Path,
  folder: str,
  arrays: Mapping[str, tuple[pathlib.Path, str]],
  asked: Options,
) -> _Found:
  """Finds arrays of images and of labels, or of the images of each class.

  Args:
    path: The file or folder of all.
    folder: What paths begin with.
    arrays: The file of each array and the name in it, by the name for messages.
    asked: What decides where names do not.
  """
  named = {'images': asked.images, 'labels': asked.labels}
  roles = {
    name: role
    for role, said in _ROLES.items()
    for name in arrays
    if (name in named[role] if named[role] else said.search(name.lower()))
  }
  left = [name for name in arrays if name not in roles]
  suffixes = {file.suffix for file, _ in arrays.values()}
  if suffixes == {'.npy'} and left and not any(named.values()):
    return _find_classes([file for file, _ in arrays.values()], folder, asked)
  pairs: dict[str, list[str]] = {}
  for name in sorted(roles, key=roles.__getitem__):
    pairs.setdefault(_kind(name), []).append(name)
  parts = {}
  for kind, names in pairs.items():
    pair = {roles[name]: arrays[name] for name in names}
    if len(pair) < len(_ROLES):
      left += names
      continue
    if len(names) > len(_ROLES):
      raise OriginFileError(
        f'{path}: expected one array of images and one of labels, found'
        f' {_few(names)}; name the right ones with --images and --labels'
      )
    fields = {
      role: _facts(file, folder) | ({'array': name} if name else {})
      for role, (file, name) in pair.items()
    }
    chunks = _read_pair(pair, asked.label_column, fields['labels'])
    parts[kind] = _Part(' and '.join(names), fields, chunks)
  layout = 'npz' if suffixes <= {'.npy', '.npz'} else 'idx'
  return _Found({'layout': layout}, left, parts)


def _read_array(path: pathlib.Path, name: str, *, labels: bool) -> np.ndarray:
  try:
    return idx_npz.read_array(
      path.read_bytes(), name=name or 'arr_0', integers=labels
    )
  except OriginFileError as error:
    raise OriginFileError(f'{path}: {error}') from error


def _read_pair(
  pair: Mapping[str, tuple[pathlib.Path, str]],
  column: str | None,
  fields: dict[str, Any],
) -> Iterator[_Chunk]:
  images = _read_array(*pair['images'], labels=False)
  labels = _read_array(*pair['labels'], labels=True)
  path, _ = pair['labels']
  if labels.ndim == 2:
    fields['columns'] = labels.shape[1]
    if labels.shape[1] > 1 and column != '0':
      raise OriginFileError(
        f'{path}: expected one label for each image, found rows of'
        f' {labels.shape[1]} numbers; --label_column 0 takes the first. Save'
        ' other labels by themselves, and one-hot rows as labels.argmax(1)'
      )
    labels = labels[:, 0]
  if labels.ndim != 1 or images.shape[:1] != labels.shape:
    raise OriginFileError(
      f'{path}: expected as many images as labels, found arrays of shape'
      f' {images.shape} and {labels.shape}'
    )
  yield labels.tolist(), images, path


def _find_classes(
  files: Sequence[pathlib.Path], folder: str, asked: Options
) -> _Found:
  """Finds an array of the images of each class."""
  left: list[str] = []
  facts: list[dict[str, Any]] = []

  def chunks() -> Iterator[_Chunk]:
    for path in files:
      images = _read_array(path, '', labels=False)
      if len(images) < asked.min_examples:
        left.append(f'images of {path.stem}: {len(images):,}')
        continue
      yield [path.stem] * len(images), images, path
      facts.append(_facts(path, folder))

  part = _Part(f'{len(files):,} files', {'files': facts}, chunks())
  return _Found({'layout': 'npy'}, left, {'': part})


def _find_tables(
  files: Sequence[pathlib.Path], folder: str, asked: Options
) -> _Found:
  """Finds tables, whose names may say which split they are of."""
  path = next((p for p in files if _kind(p.name)), files[0])
  with path.open('rb') as stream:
    count, names = tables.columns(stream, str(path))
  labels, images = tables.label_columns(names), ['']
  fields: dict[str, Any] = {'layout': 'csv'}
  if asked.label_column:
    labels = [asked.label_column]
  if path.suffix.lower() == '.parquet':
    fields['layout'] = 'parquet'
    said = [n for n in names if _ROLES['images'].search(n.lower())]
    images = list(asked.images) or said
  for found, option in ((labels, '--label_column'), (images, '--images')):
    if len(found) != 1:
      raise OriginFileError(
        f'{path}: cannot tell which of {count:,} columns to take (found'
        f' {_few(found or names) or "no names"}); name it with {option}, or give'
        ' its number from 0 if columns have no names'
      )
  by_number = not names and labels[0].isdecimal()
  fields['label_column'] = int(labels[0]) if by_number else labels[0]
  if images[0]:
    fields['image_column'] = images[0]

  def chunks(paths: Sequence[pathlib.Path]) -> Iterator[_Chunk]:
    for path in paths:
      with path.open('rb') as stream:
        for rows, labels, cells in tables.rows(
          stream, str(path), fields['label_column'], images[0]
        ):
          if isinstance(cells, np.ndarray):
            yield labels, cells, path
            continue
          for row, label, cell in zip(rows, labels, cells, strict=True):
            yield [label], picture_files.decode(cell, row)[None], row

  by_kind: dict[str, list[pathlib.Path]] = {}
  for file in files:
    by_kind.setdefault(_kind(file.name), []).append(file)
  parts = {}
  for kind, each in by_kind.items():
    facts = [_facts(file, folder) for file in each]
    what = _few([file.name for file in each])
    parts[kind] = _Part(what, {'files': facts}, chunks(each))
  return _Found(fields, [], parts)
