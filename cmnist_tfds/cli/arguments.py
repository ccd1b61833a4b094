# SPDX-License-Identifier: Apache-2.0
"""Commands, and the arguments that several of them have."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from cmnist_tfds import origin

NAME_HELP = 'a subset, as 3-EElKm, X-24, 2-FKd-r-10 or 1-Km'


def command(
  commands: Any,
  name: str,
  run: Callable[[argparse.Namespace], int],
  summary: str,
) -> argparse.ArgumentParser:
  """Adds a command; `run` returns its exit status."""
  command = commands.add_parser(name, help=summary, description=summary)
  command.set_defaults(run=run)
  return command


def add_data_dir(command: argparse.ArgumentParser) -> None:
  """Adds where prepared datasets are."""
  command.add_argument(
    '--data_dir',
    metavar='D',
    help='where prepared datasets are (default: TFDS_DATA_DIR, else'
    ' ~/tensorflow_datasets)',
  )


def add_folder(command: argparse.ArgumentParser) -> None:
  """Adds the folder to write."""
  command.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    required=True,
    help='the folder to write; one that this command wrote is replaced',
  )


def add_where(command: argparse.ArgumentParser) -> None:
  """Adds which prepared datasets are meant, and where they are."""
  add_data_dir(command)
  command.add_argument(
    '--sample',
    action='store_true',
    help='use the small synthetic sample (cmnist_sample) in place of CMNIST',
  )


def add_places(command: argparse.ArgumentParser) -> None:
  """Adds the places origin files are looked for in."""
  command.add_argument(
    '--download_dir',
    metavar='D',
    help='where downloads are kept (default: <data_dir>/downloads)',
  )
  command.add_argument(
    '--manual_dir',
    metavar='D',
    help='folder with origin files, as fashion_mnist/train-images-idx3-ubyte'
    '.gz (default: <download_dir>/manual)',
  )
  command.add_argument(
    '--mirror',
    metavar='DIR_OR_URL',
    help='folder or HTTP base with origin files in the same layout, asked'
    f' before their origins (default: {origin.MIRROR_VARIABLE})',
  )


def at_least_one(text: str) -> int:
  """Returns the number that an argument is, if it is one or more."""
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f'must be at least 1, not {text}')
  return number
