# SPDX-License-Identifier: Apache-2.0
"""`cmnist mirror`: a folder filled with origin files."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.origin import audit

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'mirror',
    run,
    'fill a folder with origin files, to copy or to serve over HTTP',
  )
  parser.add_argument(
    'folder',
    metavar='DIR',
    type=pathlib.Path,
    help='folder to fill; no file that it already holds is changed',
  )
  arguments.add_names(
    parser, '*', 'get only the files of the sources of these subsets'
  )
  arguments.add_data_dir(parser)
  arguments.add_locations(parser)
  arguments.add_timeout(parser)


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  status, sources = 0, arguments.named_sources(args.names)
  where = arguments.origin_locations(args)
  for file, came_from, fault in audit.fill(args.folder, sources, where):
    if fault:
      status = terminal.fail(f'{file.path}: {fault}')
    else:
      came = f'from {came_from}' if came_from else 'was there'
      print(f'{file.path}: {came}', flush=True)
  return status
