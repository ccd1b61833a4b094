# SPDX-License-Identifier: Apache-2.0
"""Drafts the declaration of a source from files that a user has."""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmnist_tfds.errors import DeclarationError, OriginFileError
from cmnist_tfds.extras import missing_extra
from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import picture_files, verification
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS

# How files of a split are called, in names of files and of arrays.
_SPLIT_WORDS = {'train': ('train',), 'test': ('test', 't10k', 'valid')}
_IMAGE_WORDS = ('image', 'img', 'x_', 'x.', 'x-', 'data')
_LABEL_WORDS = ('label', 'y_', 'y.', 'y-', 'target', 'class')

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
      folders `train` and `test`; an archive of them; a folder of IDX, NPZ or
      NPY files; or one NPZ, CSV or Parquet file.
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
  names: Sequence[Any] = list(
    dict.fromkeys(name for found in splits.values() for name in found.counts)
  )
  if not names:
    raise _too_few(path, min_examples)
  lines = _head(path, layout, splits, archive)
  lines += ['', '[[source]]', f'key = {_toml(key)}', f'title = {_toml(title)}']
  if all(isinstance(name, int) for name in names):
    names = sorted(names)
    lines += ['# Raw labels, for want of names. Write the name of each class.']
    lines += [f'classes = {_toml([str(name) for name in names])}']
    if list(names) != list(range(len(names))):
      lines += [f'labels = {_toml(names)}']
  else:
    characters = [_character(name) for name in names]
    lines += [f'classes = {_toml(characters)}']
    if characters != list(names):
      lines += [f'folders = {_toml(names)}']
  if 'examples' in splits:
    smallest = min(splits['examples'].counts.values())
    if smallest < 2:
      raise OriginFileError(
        f'{path}: a class has one example only, but train and test need one'
        ' each; leave such classes out (--min_examples 2 does so with pictures'
        ' and NPY files)'
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
    "license = 'not stated'",
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
    columns = every[0].tables[0][1].pop('columns')
    for found in every[1:]:
      for _, fields in found.tables:
        fields.pop('columns', None)
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
    layout = 'parquet' if name.endswith('.parquet') else 'csv'
    read = _find_in_parquet if layout == 'parquet' else _find_in_csv
    return layout, {'examples': read(path)}, None
  raise OriginFileError(
    f'{path}: expected a folder, an archive ({", ".join(_ARCHIVES)}), or a file'
    ' .npz, .csv, .csv.gz or .parquet'
  )


def _facts(path: pathlib.Path, name: str) -> dict[str, Any]:
  """Returns the path, the size and the SHA-256 of a file."""
  with path.open('rb') as stream:
    size = path.stat().st_size
    return {'path': name, 'size': size} | verification.hashes(
      stream, size, ('sha256',)
    )


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
  by_class: dict[str, dict[str, list[str]]] = {}
  tops = {n.partition('/')[0] for n in names}
  has_splits = {'train', 'test'} <= tops
  for n in names:
    split, rest = 'examples', n
    if has_splits:
      split, _, rest = n.partition('/')
    folder, slash, _ = rest.partition('/')
    if slash and split in {'examples', *SPLITS}:
      classes = by_class.setdefault(split, {})
      classes.setdefault(folder, []).append(prefix + n)
  if not by_class:
    raise OriginFileError(
      f'{root.where}: expected a folder of pictures for each class'
    )
  found = {}
  for split in sorted(by_class, key=['examples', *SPLITS].index):
    inside = prefix + (f'{split}/' if has_splits else '')
    kept = {
      c: sorted(files)
      for c, files in sorted(by_class[split].items())
      if len(files) >= min_examples
    }
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
  for names in classes.values():
    for name in names:
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
  if all(p.name.endswith('.npy') for p in arrays):
    return 'npy', {'examples': _find_npy(arrays, folder, min_examples)}
  roles: dict[tuple[str, str], pathlib.Path] = {}
  for path in arrays:
    roles.setdefault((_split_of(path.name), _role_of(path.name)), path)
  splits = {}
  for split in ('examples', *SPLITS):
    if {(split, 'images'), (split, 'labels')} <= roles.keys():
      parts = [
        (
          role,
          roles[split, role],
          f'{folder.name}/{roles[split, role].name}',
          '',
        )
        for role in ('images', 'labels')
      ]
      splits[split] = _of_pair(parts)
  splits = _without_examples(splits)
  if not splits:
    raise OriginFileError(
      f'{folder}: expected files of images and of labels, which their names say,'
      ' such as train-images.gz, train-labels.gz, test-images.gz and'
      f' test-labels.gz; found {", ".join(p.name for p in arrays[:5])}'
    )
  npz = all(p.name.endswith('.npz') for p in arrays)
  return 'npz' if npz else 'idx', splits


def _without_examples(splits: dict[str, _Found]) -> dict[str, _Found]:
  if 'examples' in splits and len(splits) > 1:
    del splits['examples']
  return splits


def _is_array(path: pathlib.Path) -> bool:
  with path.open('rb') as stream:
    head = stream.read(6)
  return head.startswith(
    (idx_npz.GZIP_MAGIC, idx_npz.ZIP_MAGIC, idx_npz.NPY_MAGIC, b'\0\0')
  )


def _split_of(name: str) -> str:
  lower = name.lower()
  for split, words in _SPLIT_WORDS.items():
    if any(word in lower for word in words):
      return split
  return 'examples'


def _role_of(name: str) -> str:
  lower = name.lower()
  if any(word in lower for word in _LABEL_WORDS) or lower in {'y', 'labels'}:
    return 'labels'
  if any(word in lower for word in _IMAGE_WORDS) or lower == 'x':
    return 'images'
  return ''


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
    *_look(images),
  )


def _look(images: np.ndarray) -> tuple[tuple[int, ...], bool, bool]:
  """Returns the shape of an image, whether it has colours, and is dark."""
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
    looks.append(_look(images))
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
  roles = {(_split_of(name), _role_of(name)): name for name in names}
  splits = {}
  for split in ('examples', *SPLITS):
    if {(split, 'images'), (split, 'labels')} <= roles.keys():
      splits[split] = _of_pair(
        [
          (role, path, path.name, roles[split, role])
          for role in ('images', 'labels')
        ]
      )
  splits = _without_examples(splits)
  if not splits:
    raise OriginFileError(
      f'{path}: expected arrays of images and of labels, such as x_train,'
      f' y_train, x_test and y_test; found {", ".join(names)}'
    )
  return splits


# Tables -----------------------------------------------------------------------


def _label_column(names: Sequence[str]) -> str | None:
  return next((n for n in names if _role_of(n) == 'labels'), None)


def _count(labels: Iterator[Any]) -> dict[Any, int]:
  counts = collections.Counter(labels)
  return dict(sorted(counts.items(), key=lambda item: str(item[0])))


def _find_in_csv(path: pathlib.Path) -> _Found:
  """Returns what a CSV file of pixels holds."""
  text = io.StringIO(picture_files.as_text(path.read_bytes(), str(path)))
  rows = csv.reader(text)
  head = next(rows, [])
  labels: list[Any] = []
  bright = 0.0
  column: str | int = 0
  if any(not cell.strip().lstrip('-').isdecimal() for cell in head[1:]):
    column = _label_column(head) or head[0]
    number = head.index(str(column))
  else:
    number = 0
    rows = csv.reader(io.StringIO(text.getvalue()))
  for row in rows:
    label = row.pop(number)
    labels.append(int(label) if label.strip().isdecimal() else label)
    try:
      bright += sum(map(int, row)) / max(1, len(row))
    except ValueError as error:
      raise OriginFileError(
        f'{path}: expected a label and pixels in every row: {error}'
      ) from error
  width = len(head) - 1
  shape = _square(width)
  if shape[0] ** 2 != width:
    raise OriginFileError(
      f'{path}: expected a square number of pixels in a row, found {width:,}'
    )
  fields = _facts(path, path.name) | {'columns': {'label_column': column}}
  return _Found(
    [('[[{}.files]]', fields)],
    _count(iter(labels)),
    shape,
    dark=bright > 127 * len(labels),
  )


def _find_in_parquet(path: pathlib.Path) -> _Found:
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
  label = _label_column(table.column_names)
  image = next((n for n in table.column_names if n != label), None)
  if label is None or image is None:
    raise OriginFileError(
      f'{path}: expected a column of labels, called label, and one of images;'
      f' found {", ".join(table.column_names)}'
    )
  shapes: set[tuple[int, ...]] = set()
  colours, bright = False, 0.0
  for row, value in enumerate(table.column(image).to_pylist()):
    encoded = value.get('bytes') if isinstance(value, dict) else value
    if isinstance(encoded, bytes):
      pixels, coloured = picture_files.decode_any(encoded, f'{path}, row {row}')
    else:
      pixels, coloured = np.array(encoded), False
    shapes.add(pixels.shape)
    colours = colours or coloured
    bright += float(pixels.mean())
  columns = {'image_column': image, 'label_column': label}
  return _Found(
    [('[[{}.files]]', _facts(path, path.name) | {'columns': columns})],
    _count(iter(table.column(label).to_pylist())),
    shapes.pop() if len(shapes) == 1 else None,
    colours,
    bright > 127 * len(table),
  )
