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
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cmnist_tfds.sources import declaration
from cmnist_tfds.sources.records import Source
from cmnist_tfds.system.errors import DeclarationError
from cmnist_tfds.system.streams import warn_once

SOURCES_VARIABLE = 'CMNIST_SOURCES'


class Registry(NamedTuple):
  """What is known besides the eleven sources of the paper.

  Attributes:
    extensions: The extensions, in the order in which they were found.
    faults: What is wrong with declarations that cannot be used; each message
      begins with the file or the package.
  """

  extensions: tuple[Source, ...]
  faults: tuple[str, ...]


# A package in a zip file, or one that has lost files, would know other subsets.
_HERE = pathlib.Path(__file__).parent
if len([*_HERE.rglob('*.toml')]) < 12:
  told = f'{_HERE}: tables of sources are missing'
  raise DeclarationError(f'{told}. Install the package again, unpacked.')


def _shipped(folder: str) -> list[tuple[str, str]]:
  """Returns owner and text of each declaration in a folder of the package."""
  return [
    (f'cmnist_tfds ({file.name})', file.read_text('utf-8'))
    for file in sorted((_HERE / folder).glob('*.toml'))
  ]


# In the order that keys have in the names of subsets, and that labels follow:
# the files by their names, the sources of a file as they stand in it.
SOURCES: tuple[Source, ...] = tuple(
  source
  for owner, text in _shipped('')
  for source in declaration.parse(text, owner)
)


def warn_of_faults() -> None:
  """Logs, once, what is wrong with declarations that cannot be used."""
  for fault in registry().faults:
    warn_once(fault)


def registry() -> Registry:
  """Returns the extensions, and what is wrong with other declarations.

  A key belongs to its first owner. A file that has changed since it was read is
  read again.
  """
  known = {source.key: source for source in SOURCES}
  installed, faults_of_packages = _installed()
  faults = [*faults_of_packages]
  parse = functools.partial(declaration.parse, extension=True)
  loads = [functools.partial(parse, t, o) for o, t in _shipped('extensions')]
  files = [*installed, *((path, '') for path in user_files())]
  loads += [functools.partial(declaration.read, *file) for file in files]
  for load in loads:
    try:
      found = load()
    except DeclarationError as error:
      faults.append(str(error))
      continue
    for source in found:
      first = known.setdefault(source.key, source)
      if first is not source:
        faults.append(
          f'{source.owner}: the key {source.key!r} is already that of a source'
          f' declared by {first.owner}. Choose another key'
        )
  return Registry(tuple(known.values())[len(SOURCES) :], tuple(faults))


def user_files() -> list[pathlib.Path]:
  """Returns the files that CMNIST_SOURCES names, each once."""
  named = os.environ.get(SOURCES_VARIABLE, '').split(os.pathsep)
  paths = (os.path.expanduser(name.strip()) for name in named if name.strip())
  return list(dict.fromkeys(pathlib.Path(os.path.realpath(p)) for p in paths))


@functools.cache
def _installed() -> tuple[list[tuple[pathlib.Path, str]], list[str]]:
  """Returns the declarations of packages, each with its owner, and faults."""
  found, faults = [], []
  for point in importlib.metadata.entry_points(group=__package__):
    owner = f'package {point.dist.name if point.dist else point.value}'
    try:
      paths = list(_paths(point.load()))
      if not paths:
        raise FileNotFoundError('it leads to no declaration, a file *.toml')
    except Exception as error:  # The code of others may raise any.
      where = f'{owner}: its entry point {point.name} = {point.value}'
      shown = ' '.join(f'{type(error).__name__}: {error}'.split())
      faults.append(f'{where} fails: {shown}')
    else:
      found += [(path, f'{owner} ({path.name})') for path in paths]
  return found, faults


def _paths(named: Any) -> Iterator[pathlib.Path]:
  """Yields the declarations that the object of an entry point names."""
  for folder in getattr(named, '__path__', ()):
    yield from sorted(pathlib.Path(folder).glob('*.toml'))
  if not hasattr(named, '__path__'):
    named = named() if callable(named) else named
    single = isinstance(named, (str, os.PathLike))
    yield from map(pathlib.Path, [named] if single else named)


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
  added = [*map(os.path.abspath, files)]
  os.environ[SOURCES_VARIABLE] = os.pathsep.join(added)
  prefixes = tuple(map(str, user_files()))
  try:
    for fault in registry().faults if added else ():
      if fault.startswith(prefixes):
        raise DeclarationError(fault)
    os.environ[SOURCES_VARIABLE] = os.pathsep.join([*added, before or ''])
    yield
  finally:
    del os.environ[SOURCES_VARIABLE]
    if before is not None:
      os.environ[SOURCES_VARIABLE] = before
