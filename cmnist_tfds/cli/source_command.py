# SPDX-License-Identifier: Apache-2.0
"""`cmnist source`: declarations of sources of your own."""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import re
import shlex
from typing import TYPE_CHECKING

from cmnist_tfds import sources as sources_lib
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.sources import declaration, records, registry
from cmnist_tfds.system.errors import DeclarationError

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


# The options of `cmnist source new` that decide what is ambiguous.
_NAMES = {
  '--images': 'array, or column of a Parquet file, of images; repeatable',
  '--labels': 'array of labels; repeatable',
}
_NUMBERS = {
  '--first': 'how many examples of each class are for test, if no files are'
  ' (default: a seventh of the smallest class)',
  '--min_examples': 'leave out classes with fewer pictures or images',
  '--scale': 'pixels of N are white; 255 takes pixels as they are',
}


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  summary = 'draft, check and list declarations of sources'
  parser = subparsers.add_parser(
    'source', help=summary, description=f'{summary.capitalize()}.'
  )
  actions = parser.add_subparsers(metavar='ACTION', required=True)
  new = arguments.add_command(
    actions, 'new', _new, 'draft a declaration from what is found in your files'
  )
  new.add_argument(
    'path',
    metavar='FILE|FOLDER',
    type=pathlib.Path,
    help='folder or archive of pictures, one folder for each class; an NPZ, CSV'
    ' or Parquet file; or a folder of such files, or of IDX or NPY files',
  )
  new.add_argument('--key', help='key of the source, such as Xy')
  new.add_argument('--title', help='title of the source')
  for name, help_ in _NAMES.items():
    new.add_argument(name, metavar='NAME', action='append', help=help_)
  new.add_argument(
    '--label_column',
    metavar='NAME|NUMBER',
    help='column of labels; a number, from 0, if columns have no names',
  )
  new.add_argument('--test', choices=('test', 'val'), help='what is for test')
  for name, help_ in _NUMBERS.items():
    new.add_argument(name, metavar='N', type=arguments.at_least_one, help=help_)
  new.add_argument(
    *('-o', '--output'),
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
  name = path.name.partition('.')[0] or 'source'
  output = args.output or path.parent / f'{name}.toml'
  if output.parent.resolve() != path.parent.resolve():
    return terminal.fail(
      f'{output}: expected a file in {path.parent}, because paths in a'
      ' declaration start in its folder',
      terminal.USAGE,
    )
  sources = (*sources_lib.SOURCES, *registry.registry().extensions)
  used = {source.key: source.title for source in sources}
  letters = re.sub('[^a-z0-9]', '', name.lower()).lstrip('0123456789')
  keys = [letters[: n + 2].capitalize() for n in range(len(letters))]
  key = args.key or next((k for k in keys if k not in used), letters)
  if key in used:
    raise DeclarationError(
      f'the key {key!r} is already that of {used[key]}; choose another'
    )
  options = {n: getattr(args, n) for n in draft.Options._fields}
  given = {n: value for n, value in options.items() if value}
  text = draft.draft(path, key=key, title=args.title or name, **given)
  # A draft that is wrong is not written.
  (source,) = declaration.parse(
    text, str(path), extension=True, beside=path.parent
  )
  with output.open('x', encoding='utf-8') as file:
    file.write(text)
  print(f'{output}: {_describe(source)}')
  for line in itertools.takewhile(lambda li: li[:1] == '#', text.splitlines()):
    print(line.removeprefix('# '))
  print(
    f'Now set {registry.SOURCES_VARIABLE}={shlex.quote(str(output.absolute()))}'
    f' and run: cmnist build 1-{source.key}'
  )
  return 0


def _check(args: argparse.Namespace) -> int:
  found = declaration.read(args.path)
  # A key may be taken: of another declaration than this one.
  with registry.with_files([str(args.path)]):
    for source in found:
      print(f'{args.path}: {_describe(source)}')
  return 0


def _describe(source: records.Source) -> str:
  counts = [f'{s.num_examples:,} {name}' for name, s in source.splits.items()]
  classes = f'{len(source.class_names)} classes'
  return ', '.join([f'{source.key} ({source.title})', classes, *counts])


def _list(args: argparse.Namespace) -> int:
  del args
  known = registry.registry()
  sources = (*sources_lib.SOURCES, *known.extensions)
  rows = [('key', 'classes', 'train', 'test', 'owner', 'title')]
  for source in sources:
    owner = source.owner if source.digest else 'the paper'
    train, test = (
      f'{source.splits[split].num_examples:,}'
      if split in source.splits
      else '-'
      for split in sources_lib.SPLITS
    )
    classes = str(len(source.class_names))
    rows.append((source.key, classes, train, test, owner, source.title))
  terminal.print_table(rows)
  for fault in known.faults:
    terminal.fail(fault)
  return terminal.FAILED if known.faults else 0
