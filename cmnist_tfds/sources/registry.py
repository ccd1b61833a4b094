# SPDX-License-Identifier: Apache-2.0
"""The sources beyond the eleven of the paper: extensions.

Extensions come from three places, in this order:

*   the declarations in `extensions/`, which travel with this package;
*   installed packages with an entry point in the group `cmnist_tfds.sources`,
    which names a Python package that has declarations beside its modules, the
    path of a declaration, or a function that returns such paths;
*   the files that the environment variable CMNIST_SOURCES names, separated as
    in PATH.

Origin files of packages and of users may lie beside their declarations.

Nothing of this is read before a name has a key that none of the eleven has. A
declaration that is wrong does not keep the others from working.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import traceback
import types
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from cmnist_tfds.sources import declaration, tables
from cmnist_tfds.sources.declaration import Source
from cmnist_tfds.system.errors import DeclarationError

if TYPE_CHECKING:
  from importlib.metadata import EntryPoint

ENTRY_POINTS = 'cmnist_tfds.sources'
SOURCES_VARIABLE = 'CMNIST_SOURCES'

_FOLDER = pathlib.Path(__file__).parent / 'extensions'

_log = logging.getLogger('cmnist_tfds')


@dataclasses.dataclass(frozen=True)
class Registered:
  """A source with its owner.

  Attributes:
    source: The source.
    owner: The file, and the package if there is one, that declares it.
  """

  source: Source
  owner: str


@dataclasses.dataclass(frozen=True)
class Fault:
  """Why a declaration cannot be used.

  Attributes:
    owner: The file or the package.
    message: What is wrong, with the owner.
  """

  owner: str
  message: str


@dataclasses.dataclass(frozen=True)
class Registry:
  """What is known besides the eleven sources of the paper.

  Attributes:
    registered: The extensions, in the order in which they were found.
    faults: What is wrong with declarations that cannot be used.
  """

  registered: tuple[Registered, ...]
  faults: tuple[Fault, ...]


# The sources of a declaration, or the fault for which it has none.
_Found = tuple[Registered, ...] | Fault


def extensions() -> tuple[Source, ...]:
  """Returns the extensions, which it loads at the first call."""
  return tuple(each.source for each in registry().registered)


def faults() -> tuple[str, ...]:
  """Returns a message for each declaration that cannot be used."""
  return tuple(fault.message for fault in registry().faults)


def warn_of_faults() -> None:
  """Logs, once, what is wrong with declarations that cannot be used."""
  _warn(registry().faults)


def registry() -> Registry:
  """Returns the extensions with their owners, and what is wrong with others.

  A file that has changed since it was read is read again.
  """
  return _join((*_shipped(), *_installed(), *map(_of_user, files_of_user())))


def files_of_user() -> list[pathlib.Path]:
  """Returns the files that CMNIST_SOURCES names, each once."""
  named = os.environ.get(SOURCES_VARIABLE, '').split(os.pathsep)
  files: dict[str, pathlib.Path] = {}
  for path in (_resolved(name) for name in named if name.strip()):
    files.setdefault(os.path.realpath(path), path)
  return list(files.values())


@contextlib.contextmanager
def with_files(files: Iterable[str]) -> Iterator[None]:
  """Adds declarations to CMNIST_SOURCES, for this process and its children.

  Args:
    files: Paths of declarations. They come before those that the variable
      names already, so they take precedence.

  Yields:
    Nothing; the variable has its old value afterwards.

  Raises:
    DeclarationError: If one of the files cannot be used.
  """
  before = os.environ.get(SOURCES_VARIABLE)
  added = [_resolved(file) for file in files]
  for path in added:
    if os.pathsep in str(path):
      raise DeclarationError(
        f'{path}: expected a path without {os.pathsep!r}, which separates the'
        f' paths in {SOURCES_VARIABLE}; rename it'
      )
  if added:
    named = [*map(str, added), *([before] if before else [])]
    os.environ[SOURCES_VARIABLE] = os.pathsep.join(named)
  try:
    for fault in registry().faults if added else ():
      if fault.owner in map(str, added):
        raise DeclarationError(fault.message)
    yield
  finally:
    if before is None:
      os.environ.pop(SOURCES_VARIABLE, None)
    else:
      os.environ[SOURCES_VARIABLE] = before


@functools.lru_cache(maxsize=8)
def _warn(faults: tuple[Fault, ...]) -> None:
  for fault in faults:
    _log.warning('%s', fault.message)


@functools.lru_cache(maxsize=8)
def _join(found: tuple[_Found, ...]) -> Registry:
  """Joins what declarations hold; a key belongs to its first owner."""
  owners = {
    table['key']: f'cmnist_tfds ({file})'
    for file, declared in tables.TABLES.items()
    for table in declared['source']
  }
  registered: list[Registered] = []
  wrong: list[Fault] = []
  for each in found:
    if isinstance(each, Fault):
      wrong.append(each)
      continue
    for one in each:
      key = one.source.key
      if key in owners:
        wrong.append(
          Fault(
            one.owner,
            f'{one.owner}: the key {key!r} is already that of a source declared'
            f' by {owners[key]}; choose another key',
          )
        )
      else:
        owners[key] = one.owner
        registered.append(one)
  return Registry(tuple(registered), tuple(wrong))


@functools.cache
def _shipped() -> tuple[_Found, ...]:
  return tuple(
    _read(path, f'cmnist_tfds ({path.name})')
    for path in sorted(_FOLDER.glob('*.toml'))
  )


@functools.cache
def _installed() -> tuple[_Found, ...]:
  import importlib.metadata

  try:
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
  except Exception as error:
    owner = 'an installed package'
    return (
      Fault(owner, f'{owner}: one of its entry points {_failure(error)}'),
    )
  return tuple(
    found
    for point in sorted(points, key=lambda p: (_package(p), p.name))
    for found in _of_entry_point(point)
  )


def _package(point: EntryPoint) -> str:
  return (point.dist and point.dist.name) or point.value


def _of_entry_point(point: EntryPoint) -> list[_Found]:
  """Returns what the declarations of an installed package hold."""
  owner = f'package {_package(point)}'
  where = f'{owner}: its entry point {point.name} = {point.value}'
  try:
    paths = list(_paths(point.load()))
  except KeyboardInterrupt:
    raise
  # It is the code of others, and may also try to end the process.
  except BaseException as error:
    return [Fault(owner, f'{where} {_failure(error)}')]
  if not paths:
    return [Fault(owner, f'{where} leads to no declaration, a file *.toml')]
  return [
    _read(path, f'{owner} ({path.name})', beside=path.parent) for path in paths
  ]


def _failure(error: BaseException) -> str:
  """Returns, on one line, that the code of others fails, and how."""
  # The text of an error may raise an error too.
  shown = ' '.join(traceback.format_exception_only(error)[-1].split())
  return 'fails: ' + ''.join(c for c in shown if c.isprintable())


def _paths(named: Any) -> Iterator[pathlib.Path]:
  """Yields the declarations that the object of an entry point names."""
  if isinstance(named, types.ModuleType):
    for folder in getattr(named, '__path__', []):
      yield from sorted(pathlib.Path(folder).glob('*.toml'))
  elif isinstance(named, (str, os.PathLike)):
    yield pathlib.Path(named)
  elif callable(named):
    yield from _paths(named())
  elif isinstance(named, Iterable) and not isinstance(named, bytes):
    for each in named:
      yield from _paths(each)
  else:
    raise TypeError(
      'expected a package, a path, a list of paths, or a function that returns'
      f' them, found {type(named).__name__}'
    )


def _of_user(path: pathlib.Path) -> _Found:
  try:
    found = path.stat()
  except OSError as error:
    return Fault(str(path), f'{path}: cannot be read: {error.strerror}')
  return _read_of_user(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=256)
def _read_of_user(path: pathlib.Path, time: int, size: int) -> _Found:
  del time, size  # A file that has changed is read again.
  return _read(path, str(path), beside=path.parent)


def _read(
  path: pathlib.Path, owner: str, beside: pathlib.Path | None = None
) -> _Found:
  """Returns the sources of a declaration, or what is wrong with it."""
  try:
    text = tables.read_text(path)
    found = declaration.parse(
      tables.parse_toml(text, owner),
      owner,
      text=text,
      extension=True,
      beside=beside,
    )
  except DeclarationError as error:
    message = str(error)
    named = message.startswith(owner)
    return Fault(owner, message if named else f'{owner}: {message}')
  return tuple(Registered(source, owner) for source in found)


def _resolved(name: str) -> pathlib.Path:
  return pathlib.Path(os.path.expanduser(name.strip())).absolute()
