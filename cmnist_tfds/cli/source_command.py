# SPDX-License-Identifier: Apache-2.0
"""`cmnist source`: declarations of sources of your own."""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cmnist_tfds import sources as sources_lib
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.sources import declaration, records, registry
from cmnist_tfds.system.errors import DeclarationError

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


# The options of `cmnist source new` that decide what is ambiguous.
_NAMED = {
  '--images': 'array, or column of a Parquet file, that has images; may be given'
  ' for each split',
  '--labels': 'array that has labels; may be given for each split',
}
_NUMBERS = {
  '--first': 'how many examples of each class are for test, where the files have'
  ' no split (default: a seventh of the smallest class)',
  '--min_examples': 'leave out classes with fewer pictures, or with fewer images'
  ' in their NPY file (default: 1)',
  '--scale': 'pixels of N are white; 255 takes pixels as they are',
}


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = subparsers.add_parser(
    'source',
    help='draft, check and list declarations of sources',
    description='Draft, check and list declarations of sources.',
  )
  actions = parser.add_subparsers(
    title='actions', metavar='ACTION', required=True
  )
  new = arguments.add_command(
    actions, 'new', _new, 'draft a declaration from what is found in your files'
  )
  new.add_argument(
    'path',
    metavar='FILE|FOLDER',
    type=pathlib.Path,
    help='folder of pictures, one folder for each class; an archive of them; a'
    ' folder of IDX, NPZ, NPY, CSV or Parquet files; or an NPZ, CSV or Parquet'
    ' file',
  )
  new.add_argument('--key', metavar='KEY', help='key of the source, such as Xy')
  new.add_argument('--title', metavar='TITLE', help='title of the source')
  for name, summary in _NAMED.items():
    new.add_argument(name, metavar='NAME', action='append', help=summary)
  new.add_argument(
    '--label_column',
    metavar='NAME|NUMBER',
    help='column that has the labels: its name, or its number from 0 where'
    ' columns have no names',
  )
  new.add_argument('--test', choices=('test', 'val'), help='what is for test')
  for name, summary in _NUMBERS.items():
    new.add_argument(
      name, metavar='N', type=arguments.at_least_one, help=summary
    )
  new.add_argument(
    '-o',
    '--output',
    type=pathlib.Path,
    metavar='FILE',
    help='declaration to write, in the folder of the files; must not exist'
    ' (default: <name of the files>.toml)',
  )
  check = arguments.add_command(
    actions, 'check', _check, 'say what is wrong with a declaration'
  )
  check.add_argument('path', metavar='FILE', type=pathlib.Path)
  arguments.add_command(
    actions, 'list', _list, 'list the sources that are known, and who owns them'
  )


def _new(args: argparse.Namespace) -> int:
  from cmnist_tfds.origin import draft

  # Without the `..` of a path, so that it has a name.
  path = pathlib.Path(os.path.abspath(args.path))
  used = {
    s.key: s.title for s in (*sources_lib.SOURCES, *registry.extensions())
  }
  if args.key in used:
    raise DeclarationError(
      f'the key {args.key!r} is already that of {used[args.key]}; choose another'
    )
  name = path.name.partition('.')[0] or 'source'
  output = args.output or path.parent / f'{name}.toml'
  if output.parent.resolve() != path.parent.resolve():
    return terminal.fail(
      f'{output}: expected a file in {path.parent}, because paths in a'
      ' declaration start in its folder',
      terminal.USAGE,
    )
  options = {name: getattr(args, name) for name in draft.Options._fields}
  text = draft.draft(
    path,
    key=args.key or _unused_key(name, used),
    title=args.title or name,
    **{name: value for name, value in options.items() if value},
  )
  # A draft that is wrong is not written.
  (source,) = declaration.parse(
    text, str(path), extension=True, beside=path.parent
  )
  try:
    with output.open('x', encoding='utf-8') as file:
      file.write(text)
  except FileExistsError:
    return terminal.fail(
      f'{output} exists already; name another file with --output'
    )
  print(f'{output}: {_describe(source)}')
  for line in itertools.takewhile(lambda li: li[:1] == '#', text.splitlines()):
    print(line.removeprefix('# '))
  print(
    f'Now set {registry.SOURCES_VARIABLE}={shlex.quote(str(output.absolute()))}'
    f' and run: cmnist build 1-{source.key}'
  )
  return 0


def _unused_key(name: str, used: Iterable[str]) -> str:
  """Returns a key for a source, made of the letters of a name."""
  letters = re.sub('[^a-z0-9]', '', name.lower()).lstrip('0123456789')
  taken = {key.casefold() for key in used}
  for length in range(2, len(letters) + 1):
    if letters[:length] not in taken:
      return letters[:length].capitalize()
  raise DeclarationError(
    f'no key can be made of {name!r}; give one with --key, such as Xy'
  )


def _check(args: argparse.Namespace) -> int:
  found = declaration.read(args.path)
  # A key may be taken: of another declaration than this one.
  with registry.with_files([str(args.path)]):
    for source in found:
      print(f'{args.path}: {_describe(source)}')
  return 0


def _describe(source: records.Source) -> str:
  counts = ', '.join(
    f'{split.num_examples:,} {name}' for name, split in source.splits.items()
  )
  return f'{source.key} ({source.title}), {len(source.class_names)} classes, {counts}'


def _list(args: argparse.Namespace) -> int:
  del args
  known = registry.registry()
  owned = [(source, 'the paper') for source in sources_lib.SOURCES]
  owned += [(each.source, each.owner) for each in known.registered]
  rows: list[tuple[str, ...]] = [
    ('key', 'classes', 'train', 'test', 'owner', 'title')
  ]
  for source, owner in owned:
    splits = map(source.splits.get, sources_lib.SPLITS)
    counts = (f'{split.num_examples:,}' if split else '-' for split in splits)
    classes = str(len(source.class_names))
    rows.append((source.key, classes, *counts, owner, source.title))
  terminal.print_table(rows)
  for fault in known.faults:
    terminal.fail(fault)
  return terminal.FAILED if known.faults else 0
