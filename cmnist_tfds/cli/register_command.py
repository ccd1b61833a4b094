# SPDX-License-Identifier: Apache-2.0
"""`cmnist register`: the datasets in programs that do not import the package."""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import sysconfig
from typing import TYPE_CHECKING

from cmnist_tfds import atomic, start_up
from cmnist_tfds.cli import arguments
from cmnist_tfds.disk_errors import disk_errors

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers

_MODULE = 'cmnist_tfds_start_up'


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'register',
    run,
    'let every program of this Python find the datasets when it imports TFDS',
  )
  parser.add_argument(
    '--undo', action='store_true', help='take back what this command did'
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  folder = pathlib.Path(sysconfig.get_path('purelib'))
  module = folder / f'{_MODULE}.py'
  # Python runs the lines of such files that begin with `import`.
  hook = folder / f'{_MODULE}.pth'
  with disk_errors(
    folder, alternative='use the Python of a virtual environment'
  ):
    if args.undo:
      compiled = importlib.util.cache_from_source(str(module))
      for file in (hook, module, pathlib.Path(compiled)):
        file.unlink(missing_ok=True)
      print(f'{folder}: programs no longer find the datasets by themselves.')
      return 0
    # Python must never meet the hook without its module.
    atomic.write_file(module, pathlib.Path(start_up.__file__).read_bytes())
    line = f'import {_MODULE}; {_MODULE}.wait_for_tfds()\n'
    atomic.write_file(hook, line.encode())
  print(
    f'{hook}: programs of this Python find the datasets when they import TFDS.'
    ' To take it back, run: cmnist register --undo'
  )
  return 0
