# SPDX-License-Identifier: Apache-2.0
"""`cmnist mirror`: a folder filled with origin files."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.system import streams

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
  arguments.add_limits(parser)


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  # These import requests, which other commands do without.
  from cmnist_tfds.origin import http_client, limits, mirror

  status = 0
  locations = arguments.origin_locations(args)
  client = http_client.Client(
    limits.of_user(args.timeout, args.min_speed), mirror=locations.mirror
  )
  with streams.progress_bar(
    desc='Fetching', unit='B', unit_scale=True
  ) as progress:
    for filled in mirror.fill(
      args.folder,
      arguments.named_sources(args.names),
      locations,
      client,
      progress.update,
    ):
      progress.clear()
      if filled.fault:
        status = terminal.fail(f'{filled.file.path}: {filled.fault}')
      else:
        came = f'from {filled.origin}' if filled.origin else 'was there'
        print(f'{filled.file.path}: {came}', flush=True)
  return status
