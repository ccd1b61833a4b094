# SPDX-License-Identifier: Apache-2.0
"""Drafts the declaration of a source from files that a user has.

What is unambiguous is taken, and the draft begins with what was taken and what
was left out. What is ambiguous is refused with the option that decides it.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds.formats import idx_npz, picture
from cmnist_tfds.origin import conversion, picture_files, pixel_tables
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.system import streams
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

_SIZE = (IMAGE_SIZE, IMAGE_SIZE)
_CHANNELS = {(), (1,), (3,)}

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

# What a table of TOML has.
_Table = dict[str, Any]


class _Split(NamedTuple):
  """The files of a split.

  Attributes:
    what: What they are, for messages.
    read: Yields the examples, and adds the files to the table of the split.
  """

  what: str
  read: Callable[[_Table], Iterator[_Chunk]]


@dataclasses.dataclass
class _Found:
  """What there is: splits by 'train', 'test', 'val', or '' if no name says so."""

  layout: str
  splits: dict[str, _Split] = dataclasses.field(default_factory=dict)
  left: list[str] = dataclasses.field(default_factory=list)
  fields: dict[str, Any] = dataclasses.field(default_factory=dict)


class _Images:
  """What images have in common."""

  def __init__(self) -> None:
    self.shapes: set[tuple[int, ...]] = set()
    self.brightest = self.sum = self.size = 0
    self.has_colors = False

  def add(self, images: np.ndarray, where: object) -> None:
    """Notes what images (n, ...) are like."""
    if images.size == 0 or images.ndim < 2 or images.shape[3:] not in _CHANNELS:
      raise OriginFileError(
        f'{where}: expected images of shape (n, height, width), or with 1 or 3'
        f' channels at the end, found {images.shape}'
      )
    self.shapes.add(images.shape[1:])
    self.brightest = max(self.brightest, int(images.max()))
    self.sum += int(images.sum())
    self.size += images.size
    self.has_colors |= images.ndim == 4

  def fields(
    self, path: pathlib.Path, scale: int | None, *, any_size: bool
  ) -> dict[str, Any]:
    """Returns the fields of the declaration, or refuses the images.

    Args:
      path: The files, for messages.
      scale: What is to be white, if the user has said.
      any_size: Whether images may have different sizes.
    """
    white = scale or 255
    if self.brightest > white or (0 < self.brightest <= _DARK and not scale):
      raise OriginFileError(
        f'{path}: the brightest pixel is {self.brightest}; --scale N makes pixels'
        ' of N white, --scale 255 takes pixels as they are'
      )
    if len(self.shapes) > 1:
      self.shapes = {shape[:2] for shape in self.shapes}
    if len(self.shapes) > 1 and not any_size:
      raise OriginFileError(
        f'{path}: expected images of one shape, found {sorted(self.shapes)[:5]}'
      )
    shape = self.shapes.pop() if len(self.shapes) == 1 else ()
    side = math.isqrt(shape[0]) if len(shape) == 1 else 0
    steps = {
      'grey': self.has_colors,
      # The images of MNIST are light on dark.
      'invert': self.sum > self.size * (white // 2),
      'resize': (shape[:2] if shape[1:] else (side, side)) != _SIZE,
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
    OriginFileError: If files cannot be read, or it is not clear what they hold.
  """
  path, asked = path.absolute(), Options(**options)
  if not path.exists():
    raise OriginFileError(f'{path}: there is no such file or folder')
  found = _find(path, asked)
  images, notes = _Images(), []
  counts: dict[str, collections.Counter[Any]] = {}
  source: dict[str, Any] = {'key': key, 'title': title}
  for split, part in _choose(path, found, asked).items():
    counts[split] = collections.Counter()
    files: _Table = {}
    for labels, pixels, where in part.read(files):
      counts[split].update(labels)
      images.add(pixels, where)
    source[split] = {'num_examples': counts[split].total()} | files
    notes.append(f'{split}: {counts[split].total():,} images, {part.what}')
  names = sorted({n for count in counts.values() for n in count}, key=_order)
  for split, count in counts.items():
    source[split]['class_counts'] = [count[name] for name in names]
    if missing := [name for name in names if not count[name]]:
      notes.append(f'not in {split}: {_few(missing)}')
  # Numbers are raw labels. Names in the same column get those that follow.
  raw = [name for name in names if isinstance(name, int)]
  while len(raw) < len(names):
    raw.append(raw[-1] + 1 if raw else 0)
  source |= {'labels': raw, 'folders': list(map(str, names))}
  source['classes'] = list(map(_character, source['folders']))
  if source['classes'] == source['folders']:
    del source['folders']
  if 'examples' in counts:
    least = min(counts['examples'].values(), default=0)
    first = asked.first or max(1, least // _TEST_PART)
    if least <= first:
      few = [n for n in names if counts['examples'][n] <= first]
      raise OriginFileError(
        f'{path}: too few images for train and test: of {_few(few)}; leave out'
        f' such classes of pictures or NPY files with --min_examples {first + 1}'
      )
    source['split'] = {'first': first}
    notes.append(f'for test: the first {first:,} of each class')
  common = images.fields(path, asked.scale, any_size=found.layout == 'folder')
  if 'convert' in common:
    notes.append(f'converted: {_toml(common["convert"])}')
  notes += [f'left out: {what}' for what in found.left]
  head = {
    'homepage': 'not published',
    'license': 'None stated',
    'citation': f'@misc{{{re.sub("[^a-z0-9]", "", path.name.lower())}}}',
    'layout': found.layout,
  }
  lines = [f'# {"".join(c for c in n if c.isprintable())}' for n in notes]
  lines += _lines(head | common | found.fields | {'source': [source]})
  return '\n'.join(lines) + '\n'


def _lines(table: _Table, inside: str = '') -> list[str]:
  """Returns a table as TOML writes it."""
  lines, tables = [], []
  for name, value in table.items():
    if name in {'source', 'files'}:
      for each in value:
        tables += ['', f'[[{inside}{name}]]', *_lines(each, f'{inside}{name}.')]
    elif isinstance(value, dict):
      tables += ['', f'[{inside}{name}]', *_lines(value, f'{inside}{name}.')]
    else:
      lines.append(f'{name} = {_toml(value)}')
  return lines + tables


def _choose(
  path: pathlib.Path, found: _Found, asked: Options
) -> dict[str, _Split]:
  """Returns what is for train and for test, or the examples of both."""
  splits = found.splits
  needed = asked.test == 'val' or ('val' in splits and not asked.first)
  if needed and asked.test not in splits:
    raise OriginFileError(
      f'{path}: found {_few([s.what for s in splits.values()])}, but no split for'
      f' {asked.test}; --test val uses the validation split as the test split,'
      ' --first N the first N examples of each class'
    )
  kinds = {'train': 'train', 'test': asked.test}
  chosen = {n: splits.pop(kind) for n, kind in kinds.items() if kind in splits}
  if chosen.keys() == {'train'}:
    chosen = {'examples': chosen['train']}
  elif not chosen and '' in splits:
    chosen = {'examples': splits.pop('')}
  for part in splits.values():
    size = 0
    with contextlib.suppress(OriginFileError):
      size = sum(len(labels) for labels, _, _ in part.read({}))
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
    return f'[{", ".join(map(_toml, value))}]'
  return json.dumps(value, ensure_ascii=False).replace('\x7f', '\\u007f')


def _kind(name: str, match: Callable[..., Any] = re.search) -> str:
  """Returns the split that a name speaks of; '' if of none."""
  return next(
    (k for k, said in _SPLITS.items() if match(said, name.lower())), ''
  )


def _facts(path: pathlib.Path, folder: str = '') -> dict[str, Any]:
  """Returns the path of a file below a folder, its size and its SHA-256."""
  data = path.read_bytes()
  digest = hashlib.sha256(data).hexdigest()
  return {'path': f'{folder}{path.name}', 'size': len(data), 'sha256': digest}


# What there is ----------------------------------------------------------------


def _find(path: pathlib.Path, asked: Options) -> _Found:
  name = path.name.lower()
  if path.is_dir():
    shown = [p for p in path.iterdir() if not p.name.startswith('.')]
    if any(p.is_dir() for p in shown):
      return _find_pictures(path, asked)
    files = sorted(shown, key=lambda p: _order(p.stem))
    if tables := [p for p in files if p.name.lower().endswith(_TABLES)]:
      return _find_tables(tables, f'{path.name}/', asked)
    return _find_arrays(path, {p.name: (p, '') for p in files}, asked)
  if name.endswith(_ARCHIVES):
    return _find_pictures(path, asked)
  if name.endswith(_TABLES):
    return _find_tables([path], '', asked)
  if name.endswith('.npz'):
    try:
      with np.load(path, allow_pickle=False) as opened:
        arrays = {name: (path, name) for name in opened.files}
    # The parser of zip files raises errors of many kinds.
    except Exception as error:
      raise OriginFileError(f'{path}: is not an NPZ file: {error}') from error
    return _find_arrays(path, arrays, asked)
  raise OriginFileError(
    f'{path}: expected a folder, an archive ({", ".join(_ARCHIVES)}), or a file'
    ' .npz, .csv, .csv.gz or .parquet'
  )


def _find_pictures(path: pathlib.Path, asked: Options) -> _Found:
  """Finds folders of pictures, one for each class, perhaps below splits."""
  archive = None if path.is_dir() else path.read_bytes()

  def opened(folder: str) -> PictureFiles:
    if archive is None:
      return picture_files.open_folder(path / folder)
    return picture_files.open_archive(archive, folder, str(path))

  root = opened('.')
  # Archives often have one folder that holds everything.
  names, prefix = root.names, ''
  while names and all(n.count('/') > 1 for n in names):
    tops = {n.partition('/')[0] for n in names}
    if len(tops) > 1:
      break
    prefix += f'{tops.pop()}/'
    names = [n.partition('/')[2] for n in names]
  if prefix and archive is None:
    raise OriginFileError(
      f'{path}: the folders of classes lie deeper; run: cmnist source new'
      f' {shlex.quote(f"{path}/{prefix}")}'
    )
  tops = {n.partition('/')[0] for n in names}
  kinds = {t: k for t in sorted(tops) if (k := _kind(t, re.fullmatch))}
  depth = int(len(kinds) > 1)
  left = collections.Counter(
    f'files {pathlib.PurePath(name).suffix or name}' for name in root.others
  )
  classes: dict[str, dict[str, list[str]]] = {}
  for name in names:
    top, rest = name.split('/', 1) if depth and '/' in name else ('', name)
    folder, slash, _ = rest.partition('/')
    if slash and folder[0] != '.' and (top in kinds or not depth):
      classes.setdefault(top, {}).setdefault(folder, []).append(rest)
    else:
      left['pictures outside of the folders of classes'] += 1
  found = _Found('folder')
  for top, by_class in classes.items():
    few = [c for c, n in by_class.items() if len(n) < asked.min_examples]
    left[f'pictures of {_few(few)}'] += sum(len(by_class.pop(c)) for c in few)
    member = f'{prefix}{top}'.rstrip('/') or '.'
    fields = {'path': f'{path.name}/{top}'.rstrip('/')}
    if archive is not None:
      fields = {'path': f'{path.name}.{top or "examples"}', 'member': member}
    found.splits[kinds.get(top, '')] = _Split(
      f'folders in {fields["path"]}: {_few(list(by_class))}',
      functools.partial(_read_pictures, opened(member), by_class, fields),
    )
  found.left += [f'{what}: {n:,}' for what, n in left.items() if n]
  if archive is not None:
    found.fields['archive'] = _facts(path)
  return found


def _read_pictures(
  files: PictureFiles,
  classes: Mapping[str, Sequence[str]],
  fields: dict[str, Any],
  table: _Table,
) -> Iterator[_Chunk]:
  names = [(c, name) for c, names in classes.items() for name in names]
  for folder, name in streams.progress_bar(
    names, desc='Reading', unit=' pictures', leave=False
  ):
    where = f'{files.where}/{name}'
    yield [folder], _decode(files.read(name), where), where
  # The hash of its archive proves a member.
  proof = {} if 'member' in fields else {'fingerprint': files.fingerprint()}
  table['pictures'] = fields | proof


def _decode(data: Any, where: str) -> np.ndarray:
  """Returns a picture as an array of one; in gray unless it has colors."""
  pixels = picture.decode(data, where)
  if picture_files.has_colors(pixels):
    return pixels[None]
  return conversion.to_gray(pixels[None])


def _find_arrays(
  path: pathlib.Path,
  arrays: Mapping[str, tuple[pathlib.Path, str]],
  asked: Options,
) -> _Found:
  """Finds arrays of images and of labels, or of the images of each class.

  Args:
    path: The file or folder of all.
    arrays: The file of each array and the name in it, by the name for messages.
    asked: What decides where names do not.
  """
  folder = f'{path.name}/' if path.is_dir() else ''
  named = {'images': asked.images, 'labels': asked.labels}
  roles = {
    name: role
    for role, said in _ROLES.items()
    for name in arrays
    if (name in named[role] if named[role] else said.search(name.lower()))
  }
  left = [name for name in arrays if name not in roles]
  files = [file for file, _ in arrays.values()]
  suffixes = {file.suffix for file in files}
  if suffixes == {'.npy'} and left and not any(named.values()):
    few: list[str] = []
    read = functools.partial(_read_npy, files, folder, asked.min_examples, few)
    return _Found('npy', {'': _Split(f'{len(files):,} files', read)}, few)
  found = _Found('npz' if suffixes <= {'.npy', '.npz'} else 'idx', left=left)
  pairs: dict[str, dict[str, list[str]]] = {}
  for name, role in roles.items():
    pair = pairs.setdefault(_kind(name), {role: [] for role in _ROLES})
    pair[role].append(name)
  for kind, pair in pairs.items():
    names = pair['images'] + pair['labels']
    if not all(pair.values()):
      found.left += names
      continue
    if len(names) > 2:
      raise OriginFileError(
        f'{path}: expected one array of images and one of labels, found'
        f' {_few(names)}; name the right ones with --images and --labels'
      )
    used = {role: arrays[name] for role, (name,) in pair.items()}
    read = functools.partial(_read_pair, used, folder, asked.label_column)
    found.splits[kind] = _Split(' and '.join(names), read)
  return found


def _read_array(path: pathlib.Path, name: str, role: str) -> np.ndarray:
  try:
    with path.open('rb') as stream:
      return idx_npz.read_array(
        stream,
        path.stat().st_size,
        lambda shape: None,
        name=name or 'arr_0',
        integers=role == 'labels',
      )
  except (OriginFileError, OSError) as error:
    raise OriginFileError(f'{path}: {error}') from error


def _read_pair(
  pair: Mapping[str, tuple[pathlib.Path, str]],
  folder: str,
  column: str | None,
  table: _Table,
) -> Iterator[_Chunk]:
  found = {role: _read_array(*array, role) for role, array in pair.items()}
  images, labels = found['images'], found['labels']
  path, _ = pair['labels']
  columns = {'columns': labels.shape[1]} if labels.ndim == 2 else {}
  if columns.get('columns', 1) > 1 and column != '0':
    raise OriginFileError(
      f'{path}: expected one label for each image, found rows of'
      f' {labels.shape[1]} numbers; --label_column 0 takes the first. Save other'
      ' labels by themselves, and one-hot rows as labels.argmax(1)'
    )
  labels = labels[:, 0] if columns else labels
  if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
    raise OriginFileError(
      f'{path}: expected as many images as labels, found arrays of shape'
      f' {images.shape} and {labels.shape}'
    )
  yield labels.tolist(), images, path
  for role, (file, name) in pair.items():
    array = {'array': name} if name else {}
    more = columns if role == 'labels' else {}
    table[role] = _facts(file, folder) | array | more


def _read_npy(
  files: Sequence[pathlib.Path],
  folder: str,
  min_examples: int,
  left: list[str],
  table: _Table,
) -> Iterator[_Chunk]:
  for path in files:
    images = _read_array(path, '', 'images')
    if len(images) < min_examples:
      left.append(f'images of {path.stem}: {len(images):,}')
      continue
    yield [path.stem] * len(images), images, path
    table.setdefault('files', []).append(_facts(path, folder))


def _find_tables(
  files: Sequence[pathlib.Path], folder: str, asked: Options
) -> _Found:
  """Finds tables, whose names may say which split they are of."""
  path = next((p for p in files if _kind(p.name)), files[0])
  layout = 'parquet' if path.suffix == '.parquet' else 'csv'
  with path.open('rb') as stream:
    count, names = pixel_tables.columns(stream, str(path))
  likely = {'label': pixel_tables.label_columns(names), 'image': ['']}
  if asked.label_column:
    likely['label'] = [asked.label_column]
  if layout == 'parquet':
    said = _ROLES['images'].search
    likely['image'] = list(asked.images) or [
      n for n in names if said(n.lower())
    ]
  for what, option in (('label', '--label_column'), ('image', '--images')):
    if len(likely[what]) != 1:
      raise OriginFileError(
        f'{path}: cannot tell which of {count:,} columns has the {what}s (found'
        f' {_few(likely[what] or names) or "no names"}); name it with {option},'
        ' or give its number from 0 if columns have no names'
      )
  label, image = likely['label'][0], likely['image'][0]
  columns: dict[str, Any] = {
    'label_column': label if names or not label.isdecimal() else int(label)
  }
  if image:
    columns['image_column'] = image
  by_kind: dict[str, list[pathlib.Path]] = {}
  for file in files:
    by_kind.setdefault(_kind(file.name), []).append(file)
  found = _Found(layout, fields=columns)
  for kind, each in by_kind.items():
    read = functools.partial(_read_tables, each, folder, columns)
    found.splits[kind] = _Split(_few([p.name for p in each]), read)
  return found


def _read_tables(
  files: Sequence[pathlib.Path],
  folder: str,
  columns: Mapping[str, Any],
  table: _Table,
) -> Iterator[_Chunk]:
  for path in files:
    with path.open('rb') as stream:
      for part in pixel_tables.rows(stream, str(path), **columns):
        if isinstance(part.images, np.ndarray):
          yield part.labels, part.images, path
        else:
          for n, label in enumerate(part.labels):
            where = f'{path}, row {part.first + n:,}'
            yield [label], _decode(part.images[n], where), where
    table.setdefault('files', []).append(_facts(path, folder))
