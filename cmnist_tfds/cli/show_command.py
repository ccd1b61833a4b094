# SPDX-License-Identifier: Apache-2.0
"""The commands that show subsets or hand them on."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, finding
from cmnist_tfds.export import files
from cmnist_tfds.figures import pictures


def add_commands(commands: Any) -> None:
  """Adds the commands."""
  show = arguments.command(
    commands, 'show', _show, 'draw a labelled picture of the classes'
  )
  show.add_argument('name', metavar='NAME', help=arguments.NAME_HELP)
  arguments.add_where(show)
  show.add_argument(
    '-o',
    '--output',
    metavar='FILE',
    type=pathlib.Path,
    required=True,
    help='the picture to write, a .png or .svg file',
  )
  kinds = show.add_mutually_exclusive_group()
  for kind, what in (
    ('histogram', 'draw how many examples each class has'),
    ('confusable', 'draw which classes look alike across sources'),
  ):
    kinds.add_argument(
      f'--{kind}', action='store_const', const=kind, dest='kind', help=what
    )
  show.set_defaults(kind='montage')
  show.add_argument(
    '--examples',
    type=arguments.at_least_one,
    metavar='N',
    help='how many examples of each class to draw (default: 3), with'
    ' --confusable to compare (default: 60)',
  )
  show.add_argument('--dark', action='store_true', help='draw light on dark')

  catalog = arguments.command(
    commands,
    'catalog',
    _catalog,
    'write a static site with a page for each subset and each source',
  )
  arguments.add_where(catalog)
  arguments.add_folder(catalog)

  exported = arguments.command(
    commands,
    'export',
    _export,
    'write a subset as files that need no TFDS',
  )
  exported.add_argument('name', metavar='NAME', help=arguments.NAME_HELP)
  arguments.add_where(exported)
  exported.add_argument(
    '--format',
    choices=tuple(files.FORMATS),
    required=True,
    help="png: a folder for each class, as ImageNet; idx: MNIST's four files;"
    " npz: one file, as keras.datasets; csv: the published generator's layout",
  )
  exported.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    required=True,
    help='the folder to write; must be new or empty',
  )

  described = arguments.command(
    commands,
    'croissant',
    _croissant,
    'describe a subset as Croissant JSON-LD; with -o, with its examples',
  )
  described.add_argument('name', metavar='NAME', help=arguments.NAME_HELP)
  arguments.add_where(described)
  described.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    help='write the description and the examples of the prepared subset, as'
    ' Parquet, to this folder; without it the description is printed',
  )

  published = arguments.command(
    commands,
    'publish',
    _publish,
    'lay prepared subsets out, with a dataset card, for others to read'
    ' without this package',
  )
  published.add_argument(
    'names', metavar='NAME', nargs='+', help=arguments.NAME_HELP
  )
  arguments.add_where(published)
  arguments.add_folder(published)

  pulled = arguments.command(
    commands,
    'tfds-pr',
    _tfds_pr,
    'write what a pull request to TFDS would add, so that it builds CMNIST'
    ' without this package',
  )
  pulled.add_argument(
    'folder',
    metavar='DIR',
    type=pathlib.Path,
    help='the folder to write, laid out as a checkout of TFDS; must be new or'
    ' empty',
  )


def _show(args: argparse.Namespace) -> int:
  found = finding.readable(args)
  drawing = pictures.draw(found, args.kind, args.examples)
  pictures.write(drawing, args.output, dark=args.dark)
  print(
    f'{found.dataset}/{found.subset.name}: {found.subset.num_classes} classes'
    f' drawn to {args.output}'
  )
  return 0


def _catalog(args: argparse.Namespace) -> int:
  from cmnist_tfds.catalog import site

  looked = site.write(args.output, args.data_dir, sample=args.sample)
  unseen = [s.key for s in sources_lib.SOURCES if not looked.has_pictures_of(s)]
  print(f'{args.output / "index.html"}: {len(subsets.published())} subsets')
  if unseen:
    print(f'no pictures of {", ".join(unseen)}: no prepared subset has them')
  return 0


def _export(args: argparse.Namespace) -> int:
  found = finding.readable(args)
  files.export(found, args.format, args.output)
  print(
    f'{found.dataset}/{found.subset.name}: written as {args.format} to'
    f' {args.output}'
  )
  return 0


def _croissant(args: argparse.Namespace) -> int:
  from cmnist_tfds.export import croissant

  if args.output is None:
    print(croissant.describe(subsets.subset(args.name)), end='')
    return 0
  found = finding.prepared(subsets.subset(args.name), args)
  count = croissant.export(found, args.output)
  print(f'{args.output / croissant.FILE}: {count:,} examples')
  return 0


def _publish(args: argparse.Namespace) -> int:
  from cmnist_tfds.export import hub

  chosen = dict.fromkeys(map(subsets.subset, args.names))
  hub.publish([finding.prepared(s, args) for s in chosen], args.output)
  print(
    f'{args.output}: {len(chosen)} subsets. Mind the licence of each source'
    ' before you hand them on; the card tells them.'
  )
  return 0


def _tfds_pr(args: argparse.Namespace) -> int:
  from cmnist_tfds import tfds_pr

  dataset = tfds_pr.write(args.folder)
  print(
    f'{dataset}: copy it into a checkout of TFDS, run its test there, and'
    ' register the checksums that nobody has published with'
    ' `tfds build cmnist --register_checksums`.'
  )
  return 0
