# SPDX-License-Identifier: Apache-2.0
"""Drafts the declaration of a source from files that a user has.

What is unambiguous is taken, and the draft begins with what was taken and what
was left out. What is ambiguous is refused with the option that decides it.
"""

from __future__ import annotations

import collections
import contextlib
import io
import itertools
import json
import math
import os
import pathlib
import posixpath
import re
import shlex
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import picture_files, tables
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import IMAGE_SIZE, registry
from cmnist_tfds.system import atomic, errors, streams
from cmnist_tfds.system.errors import OriginFileError, counted, few, read_errors

# What names of folders, of files and of arrays say.
_SPLITS = {
  'train': re.compile('train(ing)?'),
  'test': re.compile('test(ing)?|t10k'),
  'val': re.compile('(?<![a-z])(val|dev|eval)(?![a-z])|valid(ation)?|holdout'),
}
# A name that speaks of both speaks of labels.
_ROLES = {
  'labels': re.compile(
    'label|target|class|character|(?<![a-z])y(?=train|test|[^a-z]|$)'
  ),
  'images': re.compile('image|img|data|(?<![a-z])x(?=train|test|[^a-z]|$)'),
}

# The part of the examples that is for test, where nothing says which are.
_TEST_PART = 7

# If no pixel is brighter, pixels may have been scaled: probably, or perhaps.
_DARK, _DIM = 16, 127

# The layouts in which an option decides something.
_LAYOUTS = {
  'min_examples': 'folder npy',
  'images': 'idx npz parquet',
  'labels': 'idx npz',
  'label_column': 'idx npz csv parquet',
}

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
  label_column: str = ''
  test: str = 'test'
  scale: int | None = None


# The labels or names of classes of some examples, and their images, uint8
# (n, ...).
_Chunk = tuple[Sequence[int | str], np.ndarray]

_Each = TypeVar('_Each')

# What the declaration says of a file.
_File = dict[str, Any]


class _Part(NamedTuple):
  """Files that may be a split.

  Attributes:
    what: What they are, for messages.
    files: What the declaration says of them; hashes are added in the end.
    pictures: The pictures of each class, of the layout 'folder'.
  """

  what: str
  files: dict[str, Any]
  pictures: PictureFiles | None = None


class _Found(NamedTuple):
  """What there is.

  Attributes:
    path: The file or folder that has it.
    asked: What decides where it can be understood in several ways.
    fields: The fields of the declaration that say how it is read.
    left: What is left out; reading may add to it.
    parts: By 'train', 'test', 'val', or '' if their names do not say.
  """

  path: pathlib.Path
  asked: Options
  fields: dict[str, Any]
  left: list[str]
  parts: dict[str, _Part]

  def fault(self, fault: str) -> OriginFileError:
    return OriginFileError(f'{self.path}: {fault}')

  def open(self, file: _File) -> io.BufferedReader:
    return (self.path.parent / file['path']).open('rb')

  def prove(self, file: _File) -> None:
    """Adds the size and the SHA-256 to what the declaration says of a file."""
    with self.open(file) as stream:
      digest = atomic.sha256(stream)
      file |= {'size': stream.tell(), 'sha256': digest}


def add_source(
  key: str,
  classes: Sequence[str],
  train: tuple[Any, Any] | None = None,
  test: tuple[Any, Any] | None = None,
  *,
  title: str = '',
  folder: str | os.PathLike[str] = '',
  **options: Any,
) -> pathlib.Path:
  """Writes arrays and their declaration, and makes the source known.

  A warning of the log `cmnist_tfds` says what was taken, and how images are
  converted: to 28x28 gray pixels, light on dark.

  Args:
    key: The key of the source, such as 'Xy'.
    classes: The names of the classes, by label.
    train: Images, (n, height, width), (n, height, width, 3) or (n, pixels) of
      square images, of any type, with whole numbers from 0 to 255; and labels,
      whole numbers (n,) from 0.
    test: As `train`. Without one of them, each class is divided.
    title: The title of the source; its key if empty.
    folder: The folder to write: a new one, or one that this function has
      written. By default it is called as the key, in small letters.
    **options: `first`, how many examples of each class are for test if no
      arrays are; `scale`, the pixel that is white, if none is bright.

  Returns:
    The path of the declaration. This process knows it, and its children: it is
    named in CMNIST_SOURCES.

  Raises:
    OriginFileError: If the arrays are not as described.
    DeclarationError: If the key or the name of a class is wrong, or taken.
    PreparationError: If the folder cannot be written.
  """
  place = pathlib.Path(folder or key.lower()).absolute()
  arrays: dict[str, Any] = {}
  for split, pair in {'train': train, 'test': test}.items():
    if pair is not None:
      images, labels = pair
      arrays[f'x_{split}'] = tables.whole_numbers(images, np.uint8)
      arrays[f'y_{split}'] = tables.whole_numbers(labels, np.int64)
  names = ('arrays.npz', 'source.toml')
  title = title or key
  with atomic.write_folder(place, 'add_source', names) as written:
    path, declared = (written / name for name in names)
    np.savez(path, **arrays)
    try:
      text = draft(path, key=key, title=title, classes=classes, **options)
      declared.write_text(text, 'utf-8')
      with registry.with_files([str(declared)]):  # Checks it.
        pass
    except errors.CmnistError as error:  # Of a file that nobody has seen.
      file = r'.*(arrays\.npz|source\.toml)[:, ]*'
      fault = re.sub(file, f'{key}: ', str(error)).replace('--scale ', 'scale=')
      raise type(error)(fault) from error
  notes = [line[2:] for line in text.splitlines() if line.startswith('# ')]
  streams.LOG.warning('Wrote %s: %s.', place, '; '.join(notes))
  added = [str(place / names[1]), os.environ.get(registry.SOURCES_VARIABLE, '')]
  os.environ[registry.SOURCES_VARIABLE] = os.pathsep.join(added)
  return place / names[1]


def draft(
  path: pathlib.Path,
  *,
  key: str,
  title: str,
  classes: Sequence[str] = (),
  **options: Any,
) -> str:
  """Drafts the declaration of the files at a path.

  Args:
    path: A folder of pictures, in a folder for each class, perhaps below
      folders `train` and `test`; an archive of them; a folder of IDX, NPZ,
      NPY, CSV or Parquet files; or one NPZ, CSV or Parquet file.
    key: The key of the source.
    title: The title of the source.
    classes: The names of the classes with the labels 0, 1 and so on; if empty,
      those that are found.
    **options: The fields of `Options`.

  Returns:
    The declaration, in TOML, for a file in the folder of `path`. It begins with
    a comment that says what was taken and what was left out.

  Raises:
    OriginFileError: If files are damaged, or it is not clear what they hold.
    OSError: If files cannot be read.
  """
  found = _Found(path.absolute(), Options(**options), {}, [], {})
  _find(found)
  for option, layouts in _LAYOUTS.items():
    if option in options and found.fields['layout'] not in layouts:
      raise found.fault(f'--{option} is for {layouts}, not for these files')
  chosen = _choose(found)
  counts, images, brightest = _read(found, chosen)
  names = sorted({*range(len(classes))}.union(*counts.values()), key=_order)
  if classes and len(names) > len(classes):
    expected = f'expected labels from 0 to {len(classes) - 1}'
    raise found.fault(f'{expected}, found {names[-1]}')
  # One folder, or file, may hold all.
  if len(names) < 2 and found.fields['layout'] in ('folder', 'npy'):
    raise found.fault(f'expected classes, found {few(names) or "none"}')
  # Numbers are raw labels. Names in the same column get those that follow.
  raw = [name for name in names if isinstance(name, int)]
  while len(raw) < len(names):
    raw.append(raw[-1] + 1 if raw else 0)
  known = {'classes': list(map(str, classes or names)), 'labels': raw}
  source: dict[str, Any] = {'key': key, 'title': title, **known}
  head = {'homepage': 'not published', 'license': 'None stated'}
  head |= {'citation': f'@misc{{{key}}}', **found.fields, **images}
  written: dict[str, dict[str, Any]] = {'': head, '[[source]]': source}
  notes = []
  for split, count in counts.items():
    numbers = [count[name] for name in names]
    fields = {'num_examples': sum(numbers), 'class_counts': numbers}
    written[f'[source.{split}]'] = fields | chosen[split].files
    size = counted(sum(numbers), 'image')
    notes.append(f'{split}: {size}, {chosen[split].what}')
    if missing := [name for name in names if not count[name]]:
      notes.append(f'not in {split}: {few(missing)}')
  if 'examples' in counts:
    count = counts['examples']
    smallest = min(count.values(), default=0)
    first = found.asked.first or max(1, smallest // _TEST_PART)
    if rare := [name for name in names if count[name] <= first]:
      left = f'--min_examples {first + 1} leaves out classes'
      raise found.fault(f'too few images of {few(rare)}; {left}')
    source['split'] = {'first': first}
    notes.append(f'for test: the first {first:,} of each class')
  if brightest <= _DIM and not found.asked.scale:
    notes.append(f'brightest pixel: {brightest} of 255; see --scale')
  if 'convert' in head:
    notes.append(f'converted: {_toml(head["convert"])}')
  notes += [f'left out: {what}' for what in found.left]
  lines = [f'# {errors.printable(note)}' for note in notes]
  for name, table in written.items():
    lines += ['', name] * bool(name)
    lines += [f'{field} = {_toml(value)}' for field, value in table.items()]
  return '\n'.join(lines) + '\n'


def _choose(found: _Found) -> dict[str, _Part]:
  """Returns what is for train and for test, or the examples of both."""
  parts, first, test = dict(found.parts), found.asked.first, found.asked.test
  kinds = {'train': 'train', 'test': test}
  chosen = {n: parts.pop(kind) for n, kind in kinds.items() if kind in parts}
  if 'test' in chosen and first:
    raise found.fault(f'--first is not for files that have a split for {test}')
  if 'test' not in chosen:
    if test == 'val' or ('val' in parts and not first):
      what = few([part.what for part in found.parts.values()])
      remedy = 'give --test val or --first N'
      raise found.fault(f'found {what}, but no split for {test}; {remedy}')
    if whole := chosen.pop('train', None) or parts.pop('', None):
      chosen = {'examples': whole}
  for part in parts.values():
    size = 0
    with contextlib.suppress(OriginFileError):  # It may be no such table.
      size = sum(len(labels) for labels, _ in _examples(found, part))
    images = f'{counted(size, "image")}, ' if size else ''
    found.left.append(images + part.what)
  if not chosen:
    raise found.fault(
      'expected images in a folder of each class, or images and labels, as names or'
      f' --images and --labels say; found {few(found.left) or "nothing"}. Of other'
      " files, give the arrays: a = scipy.io.loadmat('x.mat'), h5py.File('x.h5') or"
      " pandas.read_pickle('x.pkl'), then cmnist_tfds.add_source('Xy', classes,"
      " train=(a['x'], a['y']))"
    )
  return chosen


def _read(
  found: _Found, chosen: dict[str, _Part]
) -> tuple[dict[str, collections.Counter[Any]], dict[str, Any], int]:
  """Returns the counts of classes by split, facts of images, the brightest pixel."""
  counts = {split: collections.Counter[Any]() for split in chosen}
  shapes: set[tuple[int, ...]] = set()
  brightest = total = size = 0
  for split, part in chosen.items():
    for labels, images in _examples(found, part):
      if len(images) != len(labels) or images.ndim < 2 or not images.size:
        expected = 'expected images (n, height, width), as many as labels'
        sizes = f'{images.shape} and {counted(len(labels), "label")}'
        raise found.fault(f'{part.what}: {expected}, found {sizes}')
      counts[split].update(labels)
      shapes.add(images.shape[1:])
      brightest = max(brightest, int(images.max()))
      total += int(images.sum())
      size += images.size
  white = found.asked.scale or 255
  if brightest > white or (0 < brightest <= _DARK and not found.asked.scale):
    remedy = '--scale N makes pixels of N white, --scale 255 keeps all'
    raise found.fault(f'the brightest pixel is {brightest}; {remedy}')
  color = any(len(shape) > 2 for shape in shapes)
  if len(shapes) > 1:  # Only some pictures may have colors.
    shapes = {shape[:2] for shape in shapes}
  if len(shapes) > 1 and found.fields['layout'] != 'folder':
    some = sorted(shapes)[:5]
    raise found.fault(f'expected images of one shape, found {some}')
  shape = next(iter(shapes)) if len(shapes) == 1 else ()
  steps = {
    'grey': color,
    # The images of MNIST are light on dark.
    'invert': 2 * total > size * white,
    'resize': math.prod(shape[:2]) != IMAGE_SIZE**2,
  }
  convert: list[Any] = [{'scale': white}] if white < 255 else []
  convert += [step for step, needed in steps.items() if needed]
  fields = {'shape': list(shape), 'convert': convert}
  return counts, {n: value for n, value in fields.items() if value}, brightest


def _order(name: int | str) -> tuple[Any, ...]:
  """Sorts numbers first, and names that end in numbers by these."""
  begin = re.sub('[0-9]{1,18}$', '', str(name))
  return isinstance(name, str), begin, int(str(name)[len(begin) :] or -1), name


def _toml(value: Any) -> str:
  """Returns a value as TOML writes it; strings of JSON are alike."""
  if isinstance(value, dict):
    return f'{{ {", ".join(f"{n} = {_toml(v)}" for n, v in value.items())} }}'
  if isinstance(value, list):
    # A line for each file.
    files = any(isinstance(each, dict) for each in value)
    separator = ',\n  ' if files else ', '
    return f'[{separator.join(map(_toml, value))}]'
  picture_files.check_name(str(value))
  return json.dumps(value, ensure_ascii=False).replace('\x7f', '\\u007f')


def _says(name: str, words: Mapping[str, re.Pattern[str]] = _SPLITS) -> str:
  """Returns the split, or the role, that a name speaks of; '' if of none."""
  return next((said for said, w in words.items() if w.search(name.lower())), '')


def _pick(
  found: _Found, names: Sequence[_Each], role: str, option: str, least: int = 0
) -> list[_Each]:
  """Returns the one name that is given, or that speaks of a role, if any does."""
  given = getattr(found.asked, option)
  given = [given] if given and isinstance(given, str) else given
  named = [
    name
    for name in names
    if (str(name) in given if given else _says(str(name), _ROLES) == role)
  ]
  if not least <= len(named) <= 1:
    which = f'which of {len(names):,} arrays or columns has the {role}'
    some = f'found {few(named or names) or "nothing"}'
    raise found.fault(f'cannot tell {which}: {some}; name it with --{option}')
  return named


def _group(
  each: Iterable[_Each], key: Callable[[_Each], str]
) -> dict[str, list[_Each]]:
  return {k: list(g) for k, g in itertools.groupby(sorted(each, key=key), key)}


# What there is ----------------------------------------------------------------


def _find(found: _Found) -> None:
  path, names, folder = found.path, [found.path.name], ''
  path.stat()  # Raises an error if there is nothing.
  if path.is_dir():
    names, folder = sorted(os.listdir(path)), f'{path.name}/'
    names.sort(key=lambda name: _order(posixpath.splitext(name)[0]))
  home = path.parent / folder
  shown = {n: home / n for n in names if not folder or n[:1] != '.'}
  # Opening a pipe would wait for a writer.
  files = {n: {'path': folder + n} for n, p in shown.items() if p.is_file()}
  listed = {n: files[n] for n in files if n.lower().endswith(_TABLES)}
  packed = files and not folder and path.name.lower().endswith(_ARCHIVES)
  if packed or any(place.is_dir() for place in shown.values()):
    _find_pictures(found)
    return
  found.left.extend(n for n in names if n not in (listed or files))
  (_find_tables if listed else _find_arrays)(found, listed or files)


def _find_pictures(found: _Found) -> None:
  """Finds folders of pictures, one for each class, perhaps below splits."""
  path, packed = found.path, found.path.is_file()
  found.fields['layout'] = 'folder'
  if packed:
    root = picture_files.open_archive(path.read_bytes(), '.', str(path))
    found.fields['archive'] = {'path': path.name}
    found.prove(found.fields['archive'])
  else:
    root = picture_files.open_folder(path)
  # Archives often have one folder that holds everything.
  above = {posixpath.dirname(posixpath.dirname(name)) for name in root.names}
  inside = posixpath.commonpath(above) if above else ''
  if inside and not packed:
    command = f'cmnist source new {shlex.quote(f"{path}/{inside}/")}'
    raise found.fault(f'the folders of classes lie deeper; run: {command}')
  left = {*root.readers}
  tops = sorted({name.partition('/')[0] for name in root.below(inside).names})
  pairs = itertools.product(tops, _SPLITS)
  kinds = {t: kind for t, kind in pairs if _SPLITS[kind].fullmatch(t.lower())}
  for top, kind in kinds.items() if len(kinds) > 1 else [('', '')]:
    member = posixpath.join(inside, top).rstrip('/')
    files = root.below(member)
    # Nobody can tell whether folders in those of classes are classes.
    flat = (name for name in files.names if name.count('/') == 1)
    grouped, least = _group(flat, posixpath.dirname), found.asked.min_examples
    classes = {c: names for c, names in grouped.items() if len(names) >= least}
    files.names = list(itertools.chain(*classes.values()))
    left.difference_update(posixpath.join(member, name) for name in files.names)
    fields = {'path': posixpath.join(path.name, top).rstrip('/')}
    if packed:
      name = f'{path.name}.{top or "examples"}'
      fields = {'path': name, 'member': member or '.'}
    if classes:
      what = f'folders in {fields["path"]}: {few(sorted(classes, key=_order))}'
      found.parts[kind] = _Part(what, {'pictures': fields}, files)
  for kind, names in _group(sorted(left), _ending).items():
    folders = dict.fromkeys(posixpath.dirname(n) or '.' for n in names)
    found.left.append(f'{kind}: {len(names):,}, in {few(list(folders))}')


def _ending(name: str) -> str:
  ending = posixpath.splitext(name)[1] or 'without ending'
  return 'empty folders' if name.endswith('/') else f'files {ending}'


def _find_arrays(found: _Found, arrays: dict[str, _File]) -> None:
  """Finds arrays of images and of labels, or of the images of each class."""
  path, asked = found.path, found.asked
  suffixes = {posixpath.splitext(name)[1].lower() for name in arrays}
  found.fields['layout'] = 'npz' if suffixes <= {'.npy', '.npz'} else 'idx'
  if suffixes == {'.npz'} and path.name in arrays:
    with read_errors(str(path)), zipfile.ZipFile(path) as opened:
      names = [name.removesuffix('.npy') for name in opened.namelist()]
    arrays = {name: {'path': path.name, 'array': name} for name in names}
  npy = [n for n in arrays if n.lower().endswith('.npy')]
  # Names of classes say neither a split nor that all are images.
  speak = all(map(_says, npy)) or {_says(n, _ROLES) for n in npy} == {'images'}
  pairs = speak or asked.images or asked.labels
  if not pairs and not any(_is_of_labels(found, arrays[n]) for n in npy):
    found.fields['layout'] = 'npy'
    found.left.extend(name for name in arrays if name not in npy)
    files = {'files': [arrays[name] for name in npy]}
    found.parts[''] = _Part(counted(len(npy), 'file'), files)
    return
  for kind, names in _group(arrays, _says).items():
    pair = {r: n for r in sorted(_ROLES) for n in _pick(found, names, r, r)}
    taken = [*pair.values()] if len(pair) == len(_ROLES) else []
    if taken:
      fields = {role: arrays[name] for role, name in pair.items()}
      found.parts[kind] = _Part(' and '.join(taken), fields)
    found.left.extend(name for name in names if name not in taken)


def _is_of_labels(found: _Found, file: _File) -> bool:
  with read_errors(file['path']):
    place = found.path.parent / file['path']
    return np.load(place, mmap_mode='r', allow_pickle=False).ndim < 2


def _find_tables(found: _Found, files: dict[str, _File]) -> None:
  """Finds tables, whose names may say which split they are of."""
  fields, heads = found.fields, dict[str, list[Any]]()
  for name, file in files.items():
    with found.open(file) as stream:
      heads[name] = tables.columns(stream, name)
  parquet = {name.lower().endswith('.parquet') for name in files}
  names = heads[min(files, key=lambda name: _says(name) != 'train')]
  if len(parquet) > 1 or len(names) < 2:
    kinds = f'CSV with commas or Parquet, found {few([*files])}'
    raise found.fault(f'expected columns of {kinds}: {few(names)}')
  (label,) = _pick(found, names, 'labels', 'label_column', 1)
  fields |= {'layout': 'csv', 'label_column': label}
  if parquet.pop():
    fields['layout'] = 'parquet'
    # Else there is a column for each pixel.
    square = math.isqrt(len(names) - 1) ** 2 == len(names) - 1 > 1
    least = not square or bool(found.asked.images)
    for image in _pick(found, names, 'images', 'images', least):
      fields['image_column'] = image
      others = [name for name in names if name not in (label, image)]
      found.left.extend([f'columns: {few(others)}'] * bool(others))
  for name in [name for name in files if label not in heads[name]]:
    found.left.append(f'{name}, without column {label}')
    del files[name]
  for kind, each in _group(files, _says).items():
    what = f'{few(each)}, labels in column {label}'
    found.parts[kind] = _Part(what, {'files': [files[n] for n in each]})


# What it holds ----------------------------------------------------------------


def _examples(found: _Found, part: _Part) -> Iterator[_Chunk]:
  """Yields the examples of a part, and completes its files."""
  if part.pictures:
    yield from _read_pictures(part.pictures, part.files['pictures'])
  elif 'labels' in part.files:
    labels = _read_array(found, part.files['labels'], integers=True)
    one = labels.shape[1:] == (1,) or found.asked.label_column == '0'
    if labels.ndim == 2 and one:
      part.files['labels']['columns'] = labels.shape[1]
      labels = labels[:, 0]
    if labels.ndim != 1:
      raise found.fault(
        f'expected one label for each image, found rows of {labels.shape[1:]};'
        ' --label_column 0 takes the first, labels.argmax(1) is that of one-hot rows'
      )
    yield labels.tolist(), _read_array(found, part.files['images'])
  elif found.fields['layout'] == 'npy':
    for file in list(part.files['files']):
      images, stem = _read_array(found, file), pathlib.Path(file['path']).stem
      if len(images) < found.asked.min_examples:
        found.left.append(f'images of {stem}: {len(images):,}')
        part.files['files'].remove(file)
      else:
        yield [stem] * len(images), images
  else:
    for file in part.files['files']:
      yield from _read_table(found, file)


def _read_array(
  found: _Found, file: _File, *, integers: bool = False
) -> np.ndarray:
  array = file.get('array', 'arr_0')
  found.prove(file)
  try:
    with found.open(file) as stream:
      return idx_npz.read_array(stream.read(), name=array, integers=integers)
  except OriginFileError as error:
    where = f'{file["path"]} {file.get("array", "")}'.strip()
    raise OriginFileError(f'{where}: {error}') from error


def _read_table(found: _Found, file: _File) -> Iterator[_Chunk]:
  columns = found.fields['label_column'], found.fields.get('image_column', '')
  with found.open(file) as stream:
    for rows, labels, cells in tables.rows(stream, file['path'], *columns):
      if isinstance(cells, np.ndarray):
        yield labels, cells
        continue
      for row, label, cell in zip(rows, labels, cells, strict=True):
        yield [label], picture_files.decode(cell, row)[None]
  found.prove(file)


def _read_pictures(files: PictureFiles, fields: _File) -> Iterator[_Chunk]:
  for name in streams.progress_bar(files.names, desc='Reading', unit=' file'):
    picture = picture_files.decode(files.read(name), f'{files.where}/{name}')
    yield [name.partition('/')[0]], picture[None]
  # The hash of its archive proves a member.
  if 'member' not in fields:
    fields['fingerprint'] = files.fingerprint()
