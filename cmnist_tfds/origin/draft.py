# SPDX-License-Identifier: Apache-2.0
"""Drafts the declaration of a source from files that a user has."""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import itertools
import json
import pathlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import layouts, picture_files, verification
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import DeclarationError, OriginFileError
from cmnist_tfds.system.extras import missing_extra

# How folders of a split are called, and files, in names and in names of arrays.
_SPLIT_FOLDERS = {
  'train': ('train', 'training'),
  'test': ('test', 'testing', 'val', 'valid', 'validation'),
}
_SPLIT_WORDS = {'train': ('train',), 'test': ('test', 't10k', 'valid', '_val')}
_ROLES = {
  'labels': re.compile('label|target|class|(?<![a-z])y(?=train|test|[^a-z]|$)'),
  'images': re.compile('image|img|data|(?<![a-z])x(?=train|test|[^a-z]|$)'),
}

# The part of the examples that is for test, where nothing says which are.
_TEST_PART = 7

# Names of folders as U+4E00 stand for the character.
_CODE_POINT = re.compile(r'U\+([0-9A-Fa-f]{4,6})')

_TABLES = ('.csv', '.csv.gz', '.parquet')
_ARCHIVES = ('.zip', '.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz')


@dataclasses.dataclass
class _Found:
  """What is found in the files of one split, or of all examples.

  Attributes:
    tables: The TOML tables of its files: header and fields of each.
    counts: How many examples there are of each class, by raw label, or by the
      name of the class or its folder.
    shape: The shape of an image; None if they have different sizes.
    colours: Whether images have colours.
    dark: Whether the mean brightness of images is above the middle.
  """

  tables: list[tuple[str, dict[str, Any]]]
  counts: dict[Any, int]
  shape: tuple[int, ...] | None
  colours: bool = False
  dark: bool = False


def draft(
  path: pathlib.Path,
  *,
  key: str,
  title: str,
  first: int | None = None,
  min_examples: int = 1,
) -> str:
  """Drafts the declaration of the files at a path.

  Args:
    path: A folder of pictures, in a folder for each class, perhaps below
      folders `train` and `test`; an archive of them; a folder of IDX, NPZ,
      NPY, CSV or Parquet files; or one NPZ, CSV or Parquet file.
    key: The key of the source.
    title: The title of the source.
    first: How many examples of each class are for test, where nothing says so.
      About a seventh of the smallest class if None.
    min_examples: Classes with fewer examples are left out, of pictures and of
      NPY files.

  Returns:
    The declaration, in TOML. It is for a file beside `path`.

  Raises:
    OriginFileError: If files cannot be read, or are none of these.
  """
  path = path.absolute()
  if not path.exists():
    raise OriginFileError(f'{path}: there is no such file or folder')
  layout, splits, archive = _find(path, min_examples)
  if splits.keys() == {'train'}:
    splits = {'examples': splits['train']}
  names: Sequence[Any] = list(
    dict.fromkeys(name for found in splits.values() for name in found.counts)
  )
  if not names:
    raise _too_few(path, min_examples)
  # Numbers are raw labels. Names in the same column get those that follow.
  numbers = sorted(name for name in names if isinstance(name, int))
  if numbers and numbers[0] < 0:
    raise OriginFileError(
      f'{path}: expected labels of at least 0, found {numbers[0]}'
    )
  texts = [name for name in names if not isinstance(name, int)]
  names = [*numbers, *texts]
  after = numbers[-1] + 1 if numbers else 0
  raw = [*numbers, *range(after, after + len(texts))]
  lines = _head(path, layout, splits, archive)
  lines += ['', '[[source]]', f'key = {_toml(key)}', f'title = {_toml(title)}']
  if numbers:
    lines += ['# Raw labels, for want of names. Write the name of each class.']
  called = list(map(str, names))
  characters = list(map(_character, called))
  lines += [f'classes = {_toml(characters)}']
  if raw != list(range(len(raw))):
    lines += [f'labels = {_toml(raw)}']
  if characters != called:
    lines += [f'folders = {_toml(called)}']
  if 'examples' in splits:
    smallest = min(splits['examples'].counts.values())
    if smallest < 2:
      remedy = (
        'leave such classes out with --min_examples 2'
        if layout in {'folder', 'npy'}
        else 'see whether the labels are what was taken for them'
      )
      raise OriginFileError(
        f'{path}: a class has one example only, but train and test need one'
        f' each; {remedy}'
      )
    test = first or max(1, smallest // _TEST_PART)
    lines += [
      '# The files have no split: so many of each class, in order, are for test.',
      f'split = {{ first = {test} }}',
    ]
  for split, found in splits.items():
    counts = [found.counts.get(name, 0) for name in names]
    same = len(set(counts)) == 1
    lines += ['', f'[source.{split}]', f'num_examples = {sum(counts)}']
    lines += [f'class_counts = {counts[0] if same else _toml(counts)}']
    for header, fields in found.tables:
      lines += ['', header.format(f'source.{split}')]
      lines += [f'{name} = {_toml(value)}' for name, value in fields.items()]
  return '\n'.join(lines) + '\n'


def unused_key(name: str, used: Sequence[str]) -> str:
  """Returns a key for a source, made of the letters of its name.

  Args:
    name: The name of its file or folder.
    used: The keys that there are.

  Raises:
    DeclarationError: If no such key is left.
  """
  letters = re.sub('[^a-z0-9]', '', name.lower()).lstrip('0123456789')
  taken = {key.casefold() for key in used}
  for length in range(2, len(letters) + 1):
    key = letters[:length].capitalize()
    if key.casefold() not in taken:
      return key
  raise DeclarationError(
    f'no key can be made of {name!r}; give one with --key, such as Xy'
  )


def _head(
  path: pathlib.Path,
  layout: str,
  splits: Mapping[str, _Found],
  archive: dict[str, Any] | None,
) -> list[str]:
  """Returns the fields that do not depend on classes."""
  every = list(splits.values())
  shape = every[0].shape if len({f.shape for f in every}) == 1 else None
  steps = []
  if any(found.colours for found in every):
    steps.append('grey')
  if any(found.dark for found in every):
    steps.append('invert')
  pixels = shape and (shape[:2] if len(shape) > 1 else _square(shape[0]))
  if pixels != (IMAGE_SIZE, IMAGE_SIZE):
    steps.append('resize')
  lines = [
    f'# A draft of what was found in {path.name}. Check it with',
    '# `cmnist source check`, and write down where the data are from.',
    '',
    "homepage = 'not published'",
    "license = 'None stated'",
    f"citation = '@misc{{{re.sub('[^a-z0-9]', '', path.name.lower())}}}'",
    f'layout = {_toml(layout)}',
  ]
  if shape and shape != (IMAGE_SIZE, IMAGE_SIZE):
    lines.append(f'shape = {_toml(list(shape))}')
  if 'invert' in steps:
    lines.append(
      '# The images are dark on light. Those of MNIST are light on dark.'
    )
  if steps:
    lines.append(f'convert = {_toml(steps)}')
  if layout in {'csv', 'parquet'}:
    for found in every:
      for _, fields in found.tables:
        columns = fields.pop('columns')
    lines += [f'{name} = {_toml(value)}' for name, value in columns.items()]
  if archive:
    lines += ['', '[archive]']
    lines += [f'{name} = {_toml(value)}' for name, value in archive.items()]
  return lines


def _square(pixels: int) -> tuple[int, int]:
  side = int(np.sqrt(pixels))
  return (side, side)


def _toml(value: Any) -> str:
  """Returns a value as TOML writes it; strings of both are alike."""
  return json.dumps(value, ensure_ascii=False).replace('\x7f', '\\u007f')


def _character(name: str) -> str:
  match = _CODE_POINT.fullmatch(name)
  return chr(int(match[1], 16)) if match else name


# What there is ----------------------------------------------------------------


def _too_few(path: pathlib.Path, min_examples: int) -> OriginFileError:
  return OriginFileError(
    f'{path}: expected at least one class with {min_examples:,} examples'
  )


def _find(
  path: pathlib.Path, min_examples: int
) -> tuple[str, dict[str, _Found], dict[str, Any] | None]:
  """Returns the layout, what each split has, and the archive if there is one."""
  name = path.name.lower()
  if path.is_dir():
    files = sorted(p for p in path.iterdir() if p.is_file())
    if not any(
      p.is_dir() and not p.name.startswith('.') for p in path.iterdir()
    ):
      files = [p for p in files if not p.name.startswith('.')]
      if tables := [p for p in files if p.name.lower().endswith(_TABLES)]:
        return *_find_tables(tables, f'{path.name}/'), None
      return *_find_arrays(files, path, min_examples), None
    root = picture_files.open_folder(path)
    splits = _find_pictures(root, path.name, min_examples)
    for found in splits.values():
      del found.tables[0][1]['member']
    return 'folder', splits, None
  if name.endswith(_ARCHIVES):
    data = path.read_bytes()
    root = picture_files.open_archive(data, '.', str(path))
    return (
      'folder',
      _find_pictures(root, path.name, min_examples, in_archive=True),
      _facts(path, path.name),
    )
  if name.endswith('.npz'):
    return 'npz', _find_in_npz(path), None
  if name.endswith(_TABLES):
    return *_find_tables([path], ''), None
  raise OriginFileError(
    f'{path}: expected a folder, an archive ({", ".join(_ARCHIVES)}), or a file'
    ' .npz, .csv, .csv.gz or .parquet'
  )


def _facts(path: pathlib.Path, name: str) -> dict[str, Any]:
  """Returns the path, the size and the SHA-256 of a file."""
  with path.open('rb') as stream:
    return {
      'path': name,
      'size': path.stat().st_size,
      'sha256': verification.sha256(stream),
    }


# Pictures ---------------------------------------------------------------------


def _find_pictures(
  root: PictureFiles,
  name: str,
  min_examples: int,
  *,
  in_archive: bool = False,
) -> dict[str, _Found]:
  """Returns what is in folders of pictures, for each split."""
  # Archives often have one folder that holds everything.
  names, prefix = root.names, ''
  while len(tops := {n.partition('/')[0] for n in names if '/' in n}) == 1:
    top = tops.pop()
    if all(n.count('/') < 2 for n in names):
      break
    prefix += f'{top}/'
    names = [n.removeprefix(f'{top}/') for n in names]
  called = {n.partition('/')[0].lower(): n.partition('/')[0] for n in names}
  of_split = {
    called[folder]: split
    for split, likely in _SPLIT_FOLDERS.items()
    for folder in [f for f in likely if f in called][:1]
  }
  has_splits = len(of_split) == len(SPLITS)
  by_class: dict[str, dict[str, list[str]]] = {}
  for n in names:
    top, rest = '', n
    if has_splits:
      top, _, rest = n.partition('/')
    folder, slash, _ = rest.partition('/')
    # Hidden folders are those of other programs.
    if slash and (top in of_split or not has_splits) and folder[0] != '.':
      classes = by_class.setdefault(top, {})
      classes.setdefault(folder, []).append(prefix + n)
  if prefix and has_splits and not in_archive:
    inner = shlex.join(['cmnist', 'source', 'new', f'{root.where}/{prefix}'])
    raise OriginFileError(
      f'{root.where}: the folders of train and test lie deeper; run: {inner}'
    )
  if not by_class:
    raise OriginFileError(
      f'{root.where}: expected a folder of pictures for each class'
    )
  found = {}
  for top in sorted(by_class, key=lambda t: of_split[t] == 'test' if t else 0):
    inside = prefix + (f'{top}/' if top else '')
    kept = {
      c: sorted(files)
      for c, files in sorted(by_class[top].items())
      if len(files) >= min_examples
    }
    split = of_split[top] if top else 'examples'
    found[split] = _look_at(root, kept, inside)
    member = inside.rstrip('/') or '.'
    path = f'{name}/{member}' if member != '.' else name
    if in_archive:
      path = f'{name}.{split}'
    fields = found[split].tables[0][1]
    found[split].tables[0] = (
      '[{}.pictures]',
      {'path': path, 'member': member}
      | ({} if in_archive else {'fingerprint': fields['fingerprint']}),
    )
  return found


def _look_at(
  root: PictureFiles, classes: Mapping[str, Sequence[str]], inside: str
) -> _Found:
  """Decodes all pictures of a split, and notes what they have in common."""
  shapes: set[tuple[int, ...]] = set()
  colours = False
  total = pixels = 0
  hashes = {}
  for name in streams.progress_bar(
    list(itertools.chain.from_iterable(classes.values())),
    desc='Reading',
    unit=' pictures',
    leave=False,
  ):
    data = root.read(name)
    hashes[name.removeprefix(inside)] = hashlib.sha256(data).hexdigest()
    image, coloured = picture_files.decode_any(data, f'{root.where}/{name}')
    shapes.add(image.shape)
    colours = colours or coloured
    total += int(image.sum())
    pixels += image.size
  return _Found(
    [('', {'fingerprint': picture_files.fingerprint(hashes)})],
    {c: len(names) for c, names in classes.items()},
    shapes.pop() if len(shapes) == 1 else None,
    colours,
    total > pixels * 127,
  )


# Arrays -----------------------------------------------------------------------


def _find_arrays(
  files: Sequence[pathlib.Path], folder: pathlib.Path, min_examples: int
) -> tuple[str, dict[str, _Found]]:
  """Returns the layout of a folder of array files, and what each split has."""
  arrays = [p for p in files if _is_array(p)]
  if not arrays:
    raise OriginFileError(
      f'{folder}: expected folders of pictures, or IDX, NPZ or NPY files'
    )
  by_name = {path.name: path for path in arrays}
  pairs = _pairs(list(by_name))
  # Of files for each class, some may be called as pairs are, as x and y.
  apart = not pairs or not all(map(_role_of, by_name))
  if apart and all(name.endswith('.npy') for name in by_name):
    return 'npy', {'examples': _find_npy(arrays, folder, min_examples)}
  if not pairs:
    raise OriginFileError(
      f'{folder}: expected files of images and of labels, which their names say,'
      ' such as train-images.gz, train-labels.gz, test-images.gz and'
      f' test-labels.gz; found {", ".join(list(by_name)[:5])}'
    )
  splits = {
    split: _of_pair(
      [
        (role, by_name[name], f'{folder.name}/{name}', '')
        for role, name in pair.items()
      ]
    )
    for split, pair in pairs.items()
  }
  numpy = all(p.name.endswith(('.npz', '.npy')) for p in arrays)
  return 'npz' if numpy else 'idx', splits


def _is_array(path: pathlib.Path) -> bool:
  with path.open('rb') as stream:
    head = stream.read(6)
  return head.startswith(
    (idx_npz.GZIP_MAGIC, idx_npz.ZIP_MAGIC, idx_npz.NPY_MAGIC, b'\0\0')
  )


def _pairs(names: Sequence[str]) -> dict[str, dict[str, str]]:
  """Returns the names of the images and the labels of each split.

  Images and labels belong together if the same word says their split.
  """
  by_word: dict[str, dict[str, str]] = {}
  for name in sorted(names):
    role = _role_of(name)
    if role:
      by_word.setdefault(_split_word(name), {}).setdefault(role, name)
  pairs: dict[str, dict[str, str]] = {}
  for split, words in {**_SPLIT_WORDS, 'examples': ('',)}.items():
    for word in words:
      if (pair := by_word.get(word, {})).keys() == _ROLES.keys():
        pairs.setdefault(split, pair)
  if len(pairs) > 1:
    pairs.pop('examples', None)
  return pairs


def _split_word(name: str) -> str:
  """Returns the word in a name that says of which split it is; '' if none."""
  lower = name.lower()
  words = [word for words in _SPLIT_WORDS.values() for word in words]
  return next((word for word in words if word in lower), '')


def _role_of(name: str) -> str:
  lower = name.lower()
  return next((r for r, said in _ROLES.items() if said.search(lower)), '')


def _read_any(
  path: pathlib.Path, array: str = 'arr_0', *, integers: bool
) -> np.ndarray:
  try:
    with path.open('rb') as stream:
      return idx_npz.read_array(
        stream,
        path.stat().st_size,
        lambda shape: None,
        name=array,
        integers=integers,
      )
  except OriginFileError as error:
    raise OriginFileError(f'{path}: {error}') from error


def _of_pair(
  parts: Sequence[tuple[str, pathlib.Path, str, str]],
) -> _Found:
  """Returns what a file of images and one of labels hold.

  Args:
    parts: For each, its role, the file, its path in the declaration, and the
      name of the array in it, empty if it needs none.
  """
  tables, arrays = [], {}
  for role, path, name, array in parts:
    found = _read_any(path, array or 'arr_0', integers=role == 'labels')
    fields = _facts(path, name)
    fields |= {'array': array} if array else {}
    fields['fingerprint'] = verification.fingerprint(found)
    if role == 'labels' and found.ndim == 2:
      _check_not_one_hot(found, path)
      fields['columns'] = found.shape[1]
      found = found[:, 0]
    tables.append((f'[{{}}.{role}]', fields))
    arrays[role] = found
  images, labels = arrays['images'], arrays['labels']
  if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
    raise OriginFileError(
      f'{parts[0][1]}: expected as many images as labels, found arrays of shape'
      f' {images.shape} and {labels.shape}'
    )
  return _Found(
    tables,
    dict(sorted(collections.Counter(labels.tolist()).items())),
    *_look(images, parts[0][1]),
  )


def _check_not_one_hot(labels: np.ndarray, path: pathlib.Path) -> None:
  if labels.shape[1] > 1 and (np.sort(labels)[:, -2:] == (0, 1)).all():
    raise OriginFileError(
      f'{path}: expected the number of a class for each image, found rows with'
      ' a 1 at its place; save labels.argmax(1)'
    )


def _look(
  images: np.ndarray, path: pathlib.Path
) -> tuple[tuple[int, ...], bool, bool]:
  """Returns the shape of an image, whether it has colours, and is dark."""
  if not images.size or (images.ndim == 4 and images.shape[3] not in {1, 3}):
    raise OriginFileError(
      f'{path}: expected images of shape (n, height, width), or with 1 or 3'
      f' channels at the end, found {images.shape}; numpy.moveaxis moves channels'
    )
  return images.shape[1:], images.ndim == 4, bool(images.mean() > 127)


def _find_npy(
  files: Sequence[pathlib.Path], folder: pathlib.Path, min_examples: int
) -> _Found:
  """Returns what a folder with a file for each class holds."""
  counts, tables, looks = {}, [], []
  for path in files:
    images = _read_any(path, integers=False)
    if len(images) < min_examples:
      continue
    counts[path.stem] = len(images)
    tables.append(('[[{}.files]]', _facts(path, f'{folder.name}/{path.name}')))
    looks.append(_look(images, path))
  if not looks:
    raise _too_few(folder, min_examples)
  shapes = {shape for shape, _, _ in looks}
  if len(shapes) > 1:
    raise OriginFileError(
      f'{folder}: expected images of one shape, found {sorted(shapes)}'
    )
  dark = sum(dark for _, _, dark in looks) * 2 > len(looks)
  return _Found(tables, counts, shapes.pop(), looks[0][1], dark)


def _find_in_npz(path: pathlib.Path) -> dict[str, _Found]:
  """Returns what an NPZ file with named arrays holds."""
  try:
    with path.open('rb') as stream, idx_npz.open_zip(stream) as archive:
      names = [n.removesuffix('.npy') for n in archive.namelist()]
  except idx_npz.DAMAGE as error:
    raise OriginFileError(f'{path}: is no NPZ file: {error}') from error
  pairs = _pairs(names)
  if not pairs:
    raise OriginFileError(
      f'{path}: expected arrays of images and of labels, such as x_train,'
      f' y_train, x_test and y_test; found {", ".join(names)}'
    )
  return {
    split: _of_pair(
      [(role, path, path.name, array) for role, array in pair.items()]
    )
    for split, pair in pairs.items()
  }


# Tables -----------------------------------------------------------------------


def _find_tables(
  paths: Sequence[pathlib.Path], folder: str
) -> tuple[str, dict[str, _Found]]:
  """Returns the layout of tables, and what each split has.

  Args:
    paths: CSV files or Parquet files.
    folder: What precedes their names in the declaration.
  """
  parquet = paths[0].name.lower().endswith('.parquet')
  if any(p.name.lower().endswith('.parquet') != parquet for p in paths):
    raise OriginFileError(
      f'{paths[0].parent}: expected CSV files or Parquet files, found both'
    )
  by_word: dict[str, list[pathlib.Path]] = {}
  for path in paths:
    by_word.setdefault(_split_word(path.name), []).append(path)
  splits: dict[str, list[pathlib.Path]] = {}
  for split, words in _SPLIT_WORDS.items():
    for word in words:
      if word in by_word:
        splits.setdefault(split, by_word[word])
  if splits.keys() != _SPLIT_WORDS.keys():
    splits = {'examples': list(paths)}
  read = _find_in_parquet if parquet else _find_in_csv
  return 'parquet' if parquet else 'csv', {
    split: _join([read(p, f'{folder}{p.name}') for p in files])
    for split, files in splits.items()
  }


def _join(parts: Sequence[_Found]) -> _Found:
  """Returns what several files of a split hold."""
  counts: collections.Counter[Any] = collections.Counter()
  for part in parts:
    counts.update(part.counts)
  same = len({part.shape for part in parts}) == 1
  return _Found(
    [table for part in parts for table in part.tables],
    _sorted(counts),
    parts[0].shape if same else None,
    any(part.colours for part in parts),
    sum(part.dark for part in parts) * 2 > len(parts),
  )


def _label_column(names: Sequence[str]) -> str | None:
  named = [n for n in names if _role_of(n) == 'labels']
  return next((n for n in named if n.lower() == 'label'), [*named, None][0])


def _sorted(counts: Mapping[Any, int]) -> dict[Any, int]:
  return dict(sorted(counts.items(), key=lambda item: str(item[0])))


def _is_header(cells: Sequence[str]) -> bool:
  """Returns whether the first row of a table has no pixels but names."""
  if not all(cell.strip().isdecimal() for cell in cells[1:]):
    return True
  # Columns may be called by their numbers, as pandas calls them.
  numbers = list(map(int, cells[1:]))
  return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _find_in_csv(path: pathlib.Path, name: str) -> _Found:
  """Returns what a CSV file of pixels holds."""
  text = picture_files.as_text(path.read_bytes(), str(path))
  reader = csv.reader(io.StringIO(text, newline=None))
  column: str | int = 0
  number, bright = 0, 0.0
  labels: collections.Counter[Any] = collections.Counter()
  try:
    head = next(reader, [])
    if len(head) < 2:
      raise ValueError('found one column; commas separate columns')
    rows: Iterable[list[str]] = reader
    if _is_header(head):
      column = _label_column(head) or head[0]
      number = head.index(column)
    else:
      rows = itertools.chain([list(head)], reader)
    for row in filter(None, rows):
      label = row.pop(number).strip()
      labels[layouts.as_label(label)] += 1
      pixels = list(map(int, row))
      if len(row) != len(head) - 1 or min(pixels) < 0 or max(pixels) > 255:
        raise ValueError(
          f'found {len(row):,} from {min(pixels)} to {max(pixels)}'
        )
      bright += sum(pixels) / len(pixels)
  except (csv.Error, ValueError, IndexError) as error:
    raise OriginFileError(
      f'{path}, line {reader.line_num}: expected a label and, in each row as'
      f' many, pixels from 0 to 255: {error}. Declare a table of paths of'
      ' pictures by hand, with image_column'
    ) from error
  shape = _square(len(head) - 1)
  if shape[0] ** 2 != len(head) - 1:
    raise OriginFileError(
      f'{path}: expected a square number of pixels in a row, found'
      f' {len(head) - 1:,}'
    )
  fields = _facts(path, name) | {'columns': {'label_column': column}}
  return _Found(
    [('[[{}.files]]', fields)],
    _sorted(labels),
    shape,
    dark=bright > 127 * labels.total(),
  )


def _find_in_parquet(path: pathlib.Path, name: str) -> _Found:
  """Returns what a Parquet file of pictures or pixels holds."""
  try:
    import pyarrow as pa
    import pyarrow.parquet as pq
  except ImportError as error:
    raise missing_extra('Reading Parquet', error, 'parquet') from error
  try:
    table = pq.read_table(path)
  except (pa.ArrowException, OSError) as error:
    raise OriginFileError(f'{path}: is no Parquet file: {error}') from error

  def is_single(kind: Any) -> bool:
    return (
      pa.types.is_integer(kind)
      or pa.types.is_floating(kind)
      or (pa.types.is_string(kind) or pa.types.is_temporal(kind))
    )

  label = _label_column(table.column_names)
  image = next(
    (
      field.name
      for field in table.schema
      if field.name != label and not is_single(field.type)
    ),
    None,
  )
  if label is None or image is None:
    raise OriginFileError(
      f'{path}: expected a column of labels, called label, and one of pictures'
      f' or lists of pixels; found {", ".join(table.column_names[:10])}'
    )
  shapes: set[tuple[int, ...]] = set()
  colours, bright = False, 0.0
  for row, value in enumerate(table.column(image).to_pylist()):
    pixels, coloured = _pixels(value, f'{path}, row {row}')
    shapes.add(pixels.shape)
    colours = colours or coloured
    bright += float(pixels.mean())
  labels: collections.Counter[Any] = collections.Counter()
  for one in table.column(label).to_pylist():
    if type(one) not in {int, str}:
      raise OriginFileError(
        f'{path}: expected whole numbers or names in {label!r}, found {one!r}'
      )
    labels[layouts.as_label(str(one))] += 1
  columns = {'image_column': image, 'label_column': label}
  return _Found(
    [('[[{}.files]]', _facts(path, name) | {'columns': columns})],
    _sorted(labels),
    shapes.pop() if len(shapes) == 1 else None,
    colours,
    bright > 127 * len(table),
  )


def _pixels(value: Any, where: str) -> tuple[np.ndarray, bool]:
  """Returns the picture or the list of pixels in a cell, and if it has colours."""
  encoded = value.get('bytes') if isinstance(value, dict) else value
  if isinstance(encoded, bytes):
    return picture_files.decode_any(encoded, where)
  try:
    return layouts.whole_numbers(encoded), False
  except (TypeError, ValueError) as error:
    raise OriginFileError(
      f'{where}: expected a picture or pixels from 0 to 255: {error}'
    ) from error
