# SPDX-License-Identifier: Apache-2.0
"""The form in which sources are declared.

A declaration is a TOML file. Each `[[source]]` table declares one source:

    homepage = 'https://example.org/shapes'
    license = 'CC0-1.0'
    citation = '@misc{shapes, ...}'
    layout = 'idx'

    [[source]]
    key = 'Sh'
    title = 'Shapes'
    classes = ['circle', 'square']

    [source.train]
    num_examples = 1_000
    class_counts = 500

    [source.train.images]
    path = 'shapes/train-images.gz'
    size = 301_234
    md5 = '...'
    sha256 = '...'
    urls = ['https://example.org/shapes/train-images.gz']

`[source.train.labels]` and `[source.test]` look alike. What stands above the
first `[[source]]` holds for every source of the file; a field of the source
itself takes precedence. The attributes of `Source`, `Split` and `OriginFile` say
what the fields mean. docs/your-own-source.md has an example of each layout.
Where names differ:

*   `classes`: `Source.class_names`.
*   `labels`: `Source.listed_labels`, for raw labels with gaps.
*   `train`, `test`: a source with `test` alone gives no training examples.
    `examples` stands in place of both where the origin has one set of examples,
    which `split` divides: `split = { first = 100 }` takes the first 100 of each
    class for test, and `split = { list = {...}, test_counts = 100 }` takes those
    that a file lists.
*   `convert`: `Source.steps`, what is done to the images, in this order: a list
    of 'transpose', 'invert', 'grey', 'resize', `{ crop = [top, left, height,
    width] }`, and `{ scale = 16 }` for pixels from 0 to 16 in place of 255.
*   `class_counts`, `test_counts`: one number where it is that of all classes,
    else a list; left out where nobody has published the counts.
*   `min_train_per_class`: `Source.least`. It follows from `class_counts` and is
    declared only where these are left out.
*   `archive`: a file, declared like the others. Files that have a `member` are
    taken from it.
*   `files`: `Split.tables`.
"""

from __future__ import annotations

import codecs
import collections
import functools
import hashlib
import itertools
import json
import math
import operator
import pathlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec.structs import force_setattr, replace

from cmnist_tfds.sources import records
from cmnist_tfds.sources.records import OriginFile, Source, Split
from cmnist_tfds.system.errors import DeclarationError, printable

# The fields of the splits of each layout, and what a source of it may have.
_COLUMNS = {'folders', 'image_column', 'label_column'}
_LAYOUTS: dict[str, tuple[list[str], set[str]]] = {
  'idx': (['images', 'labels'], set()),
  'npz': (['images', 'labels'], set()),
  'npy': (['files'], set()),
  'folder': (['pictures'], {'folders'}),
  'csv': (['files'], _COLUMNS),
  'parquet': (['files'], _COLUMNS),
}
_SIZE = (records.IMAGE_SIZE, records.IMAGE_SIZE)
_SPLITS = [{'examples', 'split'}, {'train', 'test'}, {'test'}]


def read(path: pathlib.Path, owner: str = '') -> tuple[Source, ...]:
  """Returns the extensions that a file declares.

  Args:
    path: The file. A user's own origin files may lie in its folder.
    owner: What messages call the file; its path if empty.

  Raises:
    DeclarationError: If the file cannot be read, or as `parse` does.
  """
  owner = owner or str(path)
  try:
    content = path.read_bytes()
  except OSError as error:
    fault = f'{owner}: cannot be read: {error.strerror}'
    raise DeclarationError(fault) from error
  # Some editors of Windows begin a file with a byte order mark.
  text = content.removeprefix(codecs.BOM_UTF8)
  return parse(text, owner, extension=True, beside=path.absolute().parent)


# There is one record of each source, as long as its declaration stays the same.
@functools.cache
def parse(
  text: str | bytes,
  file: str,
  *,
  extension: bool = False,
  beside: pathlib.Path | None = None,
) -> tuple[Source, ...]:
  """Returns the sources that a file declares.

  Args:
    text: The text of the file.
    file: Name of the file, for messages.
    extension: Whether the sources are extensions, which have a digest.
    beside: The folder in which a user's own files may lie.

  Returns:
    The sources, in the order of the file.

  Raises:
    DeclarationError: If a field is unknown, missing or wrong; the message is a
      line that names the file, the source and the field.
  """
  place = file
  found: dict[str, Source] = {}
  try:
    tables = msgspec.toml.decode(text)
    declared = tables.pop('source', None)
    if not isinstance(declared, list) or not declared:
      raise ValueError('has no [[source]] table. Add one for each source')
    for number, table in enumerate(declared, start=1):
      place = f'{file}, source {number}'
      whole = tables | msgspec.convert(table, dict[str, Any])
      place = f'{file}, source {whole.get("key", number)}'
      known = {'owner': file, 'beside': beside}
      if extension:
        content = json.dumps(whole, sort_keys=True, default=str).encode()
        known['digest'] = hashlib.sha256(content).hexdigest()
      plain = _plain(whole, operator.length_hint(whole.get('classes')))
      source = _complete(msgspec.convert(plain | known, Source, str_keys=True))
      for fault in _faults(source, whole):
        raise ValueError(fault)
      if source.key in found:
        raise ValueError('key: appears twice. Rename one')
      found[source.key] = source
  except (msgspec.DecodeError, ValueError, RecursionError) as error:
    message = f'{place}: {_explain(error)}'
    raise DeclarationError(printable(message)) from None
  return tuple(found.values())


def _explain(error: Exception) -> str:
  """Returns the field and the fault that msgspec, or this module, found."""
  fault, _, place = str(error).partition(' - at `')
  for pattern, words in records.IN_WORDS.items():
    fault = fault.replace(f'`str` matching regex {pattern!r}', words)
  path = place.rpartition('$')[2].strip('.`')
  return f'{path}: {fault}' if path else fault


def _plain(value: Any, num_classes: int, name: str = '') -> Any:
  """Returns a value with short forms written out, in all that it holds.

  They are a count that stands for those of all classes, and steps with a value.
  """
  match name, value:
    case 'class_counts' | 'test_counts', int():
      return [value] * num_classes
    case _, {'crop': plain, **more} | {'scale': plain, **more} if not more:
      return plain
    case _, dict():
      return {k: _plain(v, num_classes, k) for k, v in value.items()}
    case _, list():
      return [_plain(v, num_classes) for v in value]
  return value


def _complete(source: Source) -> Source:
  """Returns the record with what follows from other fields."""
  for file in _files(source):
    force_setattr(file, 'beside', source.beside)
    if file.member and not file.archive and file is not source.archive:
      force_setattr(file, 'archive', source.archive)
  splits = {
    name: replace(split, shape=_shape(source), per_class=source.layout == 'npy')
    for name, split in source.pools.items()
  }
  if source.examples and source.split:
    whole, rule = splits['examples'], source.split
    counts = whole.class_counts or ()
    test = rule.test_counts or (rule.first or 0,) * len(counts)
    train = tuple(n - t for n, t in zip(counts, test, strict=False))
    how: dict[str, Any] = {'listing': rule.list, 'first': rule.first}
    how |= {'whole': whole, 'shape': whole.shape}
    for name, chosen in (('train', train), ('test', test)):
      count = sum(chosen)
      splits[name] = Split(num_examples=count, class_counts=chosen, **how)
  return replace(source, **splits)


def _shape(source: Source) -> tuple[int, ...] | None:
  """Returns the shape of an image in the files, None if it may have any."""
  any_size = source.layout == 'folder' and 'resize' in source.steps
  return source.shape or (None if any_size else _SIZE)


def _files(source: Source) -> Iterator[OriginFile]:
  """Yields all files of a source as it is declared."""
  listing = source.split.list if source.split else None
  parts = (split.parts for split in source.pools.values())
  for file in (source.archive, listing, *itertools.chain(*parts)):
    if file:
      yield from (file, *file.equivalents)


def _twice(values: Iterable[Any]) -> list[Any]:
  return [v for v, n in collections.Counter(values).items() if n > 1]


def _faults(source: Source, declared: dict[str, Any]) -> Iterator[str]:
  """Yields what is wrong with fields of which each for itself is right."""
  layout = source.layout
  needed, further = _LAYOUTS[layout]
  reserved = {'beside', 'digest', 'owner', *_COLUMNS} - further
  for field in declared.keys() & reserved:
    yield f'{field}: unknown field of the layout {layout!r}'
  for name in source.pools:
    given = sorted(declared[name].keys() - {'num_examples', 'class_counts'})
    if given != needed:
      yield f'{name}: expected {needed} in layout {layout!r}, found {given}'
  if declared.keys() & set().union(*_SPLITS) not in _SPLITS:
    yield 'test: expected train and test, or examples and split'
  yield from _faults_of_classes(source)
  yield from _faults_of_counts(source)
  yield from _faults_of_images(source)
  yield from _faults_of_files(source)


def _faults_of_classes(source: Source) -> Iterator[str]:
  """Checks the names, the raw labels and the names of folders."""
  names = source.class_names
  fields = {'classes': names, 'folders': source.folders or names}
  for field, given in fields.items():
    if twice := _twice(unicodedata.normalize('NFC', name) for name in given):
      yield f'{field}: {twice[0]!r} appears twice'
    if len(given) != len(names):
      yield f'{field}: expected one for each of the {len(names)} classes'
  labels = [*source.raw_labels]
  if (
    len(labels) != len(names)
    or labels != sorted({n for n in labels if n <= records.LARGEST_LABEL})
    or (source.listed_labels and source.first_label)
  ):
    yield (
      f'labels: expected {len(names)} ascending numbers, one for each class, of'
      f' at most {records.LARGEST_LABEL}, and no first_label'
    )


def _faults_of_counts(source: Source) -> Iterator[str]:
  """Checks that there are as many examples as all fields say."""
  names, rule, pools = source.class_names, source.split, source.pools.items()
  counts = {f'{name}.class_counts': pool.class_counts for name, pool in pools}
  if rule:
    counts['split.test_counts'] = rule.test_counts
  for field, numbers in counts.items():
    if numbers is not None and len(numbers) != len(names):
      yield f'{field}: expected {len(names)} counts, one for each class'
  for name, split in pools:
    total = sum(split.class_counts or [split.num_examples])
    if total != split.num_examples:
      yield f'{name}.class_counts: add up to {total}, not {split.num_examples}'
    if not split.class_counts and (split.per_class or rule):
      yield f'{name}.class_counts: missing. Other facts follow from it'
    if split.per_class and len(split.parts) != len(names):
      yield f'{name}.files: expected one for each of the {len(names)} classes'
  known = source.train.class_counts if source.train else (1,)
  if rule and known and min(known) < 1:
    scarce = names[known.index(min(known))]
    yield f'split: leaves no training example of class {scarce!r}'
  if bool(source.least) == bool(known):
    yield 'min_train_per_class: expected without class_counts, and only then'


def _faults_of_images(source: Source) -> Iterator[str]:
  """Checks that the steps make images of 28x28 gray pixels."""
  # Images of any size are resized, and those in rows are square.
  shape = _shape(source) or (1,)
  rows = (math.isqrt(shape[0]),) * 2
  height, width, *channels = shape if len(shape) > 1 else rows
  if height * width != math.prod(shape[:2]) or channels not in ([], [1], [3]):
    expected = '[height, width(, 3)] or a square number of pixels'
    yield f'shape: expected {expected}, found {list(shape)}'
  if channels == [3] and 'grey' not in source.steps:
    yield "convert: the images have colors. Add 'grey'"
  for step in source.steps:
    if isinstance(step, tuple):
      top, left, *most = step
      height, width = map(min, most, (height - top, width - left))
    elif step == 'transpose':
      height, width = width, height
    elif step == 'resize':
      height, width = _SIZE
  if (height, width) != _SIZE:
    yield f"convert: gives {height}x{width} pixels, not 28x28. Add 'resize'"


def _faults_of_files(source: Source) -> Iterator[str]:
  """Checks that files lie in one folder, and that none has two uses."""
  used = [file for split in source.pools.values() for file in split.parts]
  folder = used[0].path.rpartition('/')[0]
  for path, array in _twice((file.path, file.array) for file in used):
    yield f'{path}: appears twice. The file, or {array} in it, is for one use'
  for file in _files(source):
    if file.path.rpartition('/')[0] != folder:
      yield f'{file.path}: expected all files in the folder {folder!r}'
    if file.md5 and not (file.sha256 or file.size or file.git_blob):
      yield f'{file.path}: md5 alone is no proof. Add its sha256 or its size'
    if file.array != 'arr_0' and source.layout != 'npz':
      yield f'{file.path}: array: unknown field of the layout {source.layout!r}'
    archive = source.archive if file.member else None
    if file.archive != archive or (file.member and not archive):
      yield f'{file.path}: member: needs [archive]'
