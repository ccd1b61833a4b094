# SPDX-License-Identifier: Apache-2.0
"""Draft, check and list declarations of sources."""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shlex
from typing import Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.sources import declaration, records, registry
from cmnist_tfds.system.errors import DeclarationError, counted


def _new(args: arguments.Namespace) -> None:
  """Draft a declaration from what is found in your files."""
  from cmnist_tfds.origin import draft

  # Without the `..` of a path, so that it has a name.
  path = pathlib.Path(os.path.abspath(args.path))
  name = path.name.partition('.')[0] or 'source'
  output = args.output or path.parent / f'{name}.toml'
  if output.parent.resolve() != path.parent.resolve():
    place = f'{path.parent}, because paths in a declaration start in its folder'
    raise argparse.ArgumentError(None, f'{output}: expected a file in {place}')
  sources = (*sources_lib.SOURCES, *registry.registry().extensions)
  used = {source.key: source.title for source in sources}
  letters = re.sub('[^a-z0-9]', '', name.lower()).lstrip('0123456789')
  keys = [letters[: n + 2].capitalize() for n in range(len(letters))]
  key = args.key or next((k for k in keys if k not in used), letters)
  if key in used:
    fault = f'the key {key!r} is already that of {used[key]}'
    raise DeclarationError(f'{fault}; choose another')
  given = {n: v for n in draft.Options._fields if (v := getattr(args, n))}
  text = draft.draft(path, key=key, title=args.title or name, **given)
  # A draft that is wrong is not written.
  (source,) = declaration.parse(
    text, str(path), extension=True, beside=path.parent
  )
  with output.open('x', encoding='utf-8') as file:
    file.write(text)
  print(f'{output}: {_describe(source)}')
  print(*(line[2:] for line in text.splitlines() if line[:2] == '# '), sep='\n')
  declared = shlex.quote(str(output.absolute()))
  setting = f'{registry.SOURCES_VARIABLE}={declared}'
  print(f'Now set {setting} and run: cmnist build 1-{source.key}')


def _check(args: arguments.Namespace) -> None:
  """Say what is wrong with a declaration."""
  found = declaration.read(args.path)
  # A key may be taken: of another declaration than this one.
  with registry.with_files([str(args.path)]):
    for source in found:
      print(f'{args.path}: {_describe(source)}')


def _describe(source: records.Source) -> str:
  sizes = [f'{s.num_examples:,} {name}' for name, s in source.splits.items()]
  classes = counted(len(source.class_names), 'class')
  return ', '.join([f'{source.key} ({source.title})', classes, *sizes])


def _list(args: arguments.Namespace) -> int:
  """List the sources that are known, and who owns them."""
  known = registry.registry()
  sources = (*sources_lib.SOURCES, *known.extensions)
  header = ('key', 'classes', 'train', 'test', 'owner', 'title')
  rows: list[tuple[Any, ...]] = [header]
  for source in sources:
    owner = source.owner if source.digest else 'the paper'
    found = [source.splits.get(split) for split in sources_lib.SPLITS]
    sizes = [split.num_examples if split else '-' for split in found]
    classes = len(source.class_names)
    rows.append((source.key, classes, *sizes, owner, source.title))
  if args.format == 'json':
    terminal.print_json(sources)
  else:
    terminal.print_table(rows)
  return max(map(terminal.fail, known.faults), default=0)


_NEW: arguments.Arguments = {
  'path FILE|FOLDER': arguments.path(
    'folder or archive of pictures, one folder for each class; an NPZ, CSV or'
    ' Parquet file; or a folder of such files, or of IDX or NPY files'
  ),
  '--key KEY': 'key of the source, such as Xy',
  '--title TITLE': 'title of the source',
  '--images NAME': {
    'action': 'append',
    'help': 'array, or column of a Parquet file, of images; repeatable',
  },
  '--labels NAME': {'action': 'append', 'help': 'array of labels; repeatable'},
  '--label_column NAME|NUMBER': 'column of labels; its number from 0 if unnamed',
  '--test': {'choices': ('test', 'val'), 'help': 'what is for test'},
  '--first N': arguments.number(
    'examples of each class for test, if no files are (default: about a seventh)'
  ),
  '--min_examples N': arguments.number('leave out classes with fewer images'),
  '--scale N': arguments.number('pixels of N are white; 255 changes nothing'),
  '-o|--output FILE': arguments.path(
    'new declaration, beside what it declares (default: <its name>.toml)'
  ),
}

ACTIONS = {
  'new': (_NEW, _new),
  'check': ({'path FILE': {'type': pathlib.Path}}, _check),
  'list': (arguments.printed('text', 'json'), _list),
}
