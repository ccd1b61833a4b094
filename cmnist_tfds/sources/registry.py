# SPDX-License-Identifier: Apache-2.0
"""The sources that are known: the eleven of the paper, and extensions.

The eleven are declared in the TOML files of this folder. Extensions come from
three places, in this order:

*   the declarations in `extensions/`, which travel with this package;
*   installed packages with an entry point in the group `cmnist_tfds.sources`,
    which names a Python package that has declarations among its modules, the
    path of a declaration, or a function that returns such paths;
*   the files that the environment variable CMNIST_SOURCES names, separated as
    in PATH.

Origin files of packages and of users may lie beside their declarations.

No extension is read before a name has a key that none of the eleven has. A
declaration that is wrong does not keep the others from working.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.resources
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cmnist_tfds.sources import declaration
from cmnist_tfds.sources.records import Source
from cmnist_tfds.system.errors import DeclarationError

ENTRY_POINTS = 'cmnist_tfds.sources'
SOURCES_VARIABLE = 'CMNIST_SOURCES'


class Registered(NamedTuple):
  """An extension with its owner.

  Attributes:
    source: The source.
    owner: The file, and the package if there is one, that declares it.
  """

  source: Source
  owner: str


class Registry(NamedTuple):
  """What is known besides the eleven sources of the paper.

  Attributes:
    registered: The extensions, in the order in which they were found.
    faults: What is wrong with declarations that cannot be used; each message
      begins with the file or the package.
  """

  registered: tuple[Registered, ...]
  faults: tuple[str, ...]


def _shipped(folder: str) -> list[tuple[str, str]]:
  """Returns name and text of each declaration in a folder of the package."""
  place = importlib.resources.files(__package__).joinpath(folder)
  return sorted(
    (file.name, file.read_text('utf-8'))
    for file in place.iterdir()
    if file.name.endswith('.toml')
  )


# In the order that keys have in the names of subsets, and that labels follow:
# the files by their names, the sources of a file as they stand in it.
SOURCES: tuple[Source, ...] = tuple(
  source
  for name, text in _shipped('')
  for source in declaration.parse(text, name)
)


def extensions() -> tuple[Source, ...]:
  """Returns the extensions, which it loads at the first call."""
  return tuple(each.source for each in registry().registered)


def warn_of_faults() -> None:
  """Logs, once, what is wrong with declarations that cannot be used."""
  for fault in registry().faults:
    _warn(fault)


@functools.cache
def _warn(fault: str) -> None:
  logging.getLogger('cmnist_tfds').warning('%s', fault)


def registry() -> Registry:
  """Returns the extensions with their owners, and what is wrong with others.

  A key belongs to its first owner. A file that has changed since it was read is
  read again.
  """
  owners = {source.key: 'cmnist_tfds' for source in SOURCES}
  registered: list[Registered] = []
  faults: list[str] = []
  for owner, found in _declared():
    if isinstance(found, str):
      faults.append(found)
      continue
    for source in found:
      if source.key in owners:
        faults.append(
          f'{owner}: the key {source.key!r} is already that of a source declared'
          f' by {owners[source.key]}. Choose another key'
        )
      else:
        owners[source.key] = owner
        registered.append(Registered(source, owner))
  return Registry(tuple(registered), tuple(faults))


def _declared() -> Iterator[tuple[str, tuple[Source, ...] | str]]:
  """Yields owners with their sources, or with what is wrong."""
  for name, text in _shipped('extensions'):
    owner = f'cmnist_tfds ({name})'
    yield owner, declaration.parse(text, owner, extension=True)
  for owner, path in (*_installed(), *((str(p), p) for p in files_of_user())):
    try:
      found = path if isinstance(path, str) else declaration.read(path, owner)
    except DeclarationError as error:
      found = str(error)
    except OSError as error:
      found = f'{owner}: cannot be read: {error.strerror}'
    yield owner, found


def files_of_user() -> list[pathlib.Path]:
  """Returns the files that CMNIST_SOURCES names, each once."""
  named = os.environ.get(SOURCES_VARIABLE, '').split(os.pathsep)
  return list(dict.fromkeys(_absolute(name) for name in named if name.strip()))


def _absolute(name: str) -> pathlib.Path:
  return pathlib.Path(os.path.realpath(os.path.expanduser(name.strip())))


@functools.cache
def _installed() -> tuple[tuple[str, pathlib.Path | str], ...]:
  """Returns the declarations of packages, or what is wrong, with owners."""
  found: list[tuple[str, pathlib.Path | str]] = []
  for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
    owner = f'package {point.dist.name if point.dist else point.value}'
    try:
      paths = list(_paths(point.load()))
      if not paths:
        raise FileNotFoundError('it leads to no declaration, a file *.toml')
    except Exception as error:  # The code of others may raise any.
      shown = ' '.join(f'{type(error).__name__}: {error}'.split())
      where = f'{owner}: its entry point {point.name} = {point.value}'
      found.append((owner, f'{where} fails: {shown}'))
    else:
      found += [(f'{owner} ({path.name})', path) for path in paths]
  return tuple(found)


def _paths(named: Any) -> Iterator[pathlib.Path]:
  """Yields the declarations that the object of an entry point names."""
  if callable(named):
    yield from _paths(named())
  elif hasattr(named, '__path__'):
    for folder in named.__path__:
      yield from sorted(pathlib.Path(folder).glob('*.toml'))
  elif isinstance(named, (str, os.PathLike)):
    yield pathlib.Path(named)
  else:
    for each in named:
      yield from _paths(each)


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
  added = [str(_absolute(file)) for file in files]
  if wrong := [path for path in added if os.pathsep in path]:
    raise DeclarationError(
      f'{wrong[0]}: expected a path without {os.pathsep!r}, which separates the'
      f' paths in {SOURCES_VARIABLE}. Rename it'
    )
  os.environ[SOURCES_VARIABLE] = os.pathsep.join([*added, before or ''])
  try:
    for fault in registry().faults if added else ():
      if fault.startswith(tuple(added)):
        raise DeclarationError(fault)
    yield
  finally:
    if before is None:
      del os.environ[SOURCES_VARIABLE]
    else:
      os.environ[SOURCES_VARIABLE] = before
