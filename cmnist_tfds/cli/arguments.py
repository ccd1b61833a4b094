# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import pathlib
import re
import shlex
from collections.abc import Callable, Iterable
from typing import TypeAlias

from cmnist_tfds import origin, subsets
from cmnist_tfds import sources as sources_lib
from cmnist_tfds.cache import prepared
from cmnist_tfds.load.open_subset import Opened, open_subset
from cmnist_tfds.sources import Source, registry
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PreparationError

Subparsers: TypeAlias = 'argparse._SubParsersAction[argparse.ArgumentParser]'

_NAME_HELP = 'name of a subset, such as 3-EElKm, X-24, 2-FKd-r-10 or 1-Km'


def add_command(
  subparsers: Subparsers,
  name: str,
  run: Callable[[argparse.Namespace], int],
  summary: str,
) -> argparse.ArgumentParser:
  """Adds a command.

  Args:
    subparsers: The commands of the program.
    name: What a user types.
    run: Runs the command with the parsed arguments; returns its exit status.
    summary: What the command does, without capital letter and full stop.

  Returns:
    The command's parser.
  """
  parser = subparsers.add_parser(
    name, help=summary, description=f'{summary[0].upper()}{summary[1:]}.'
  )
  parser.set_defaults(run=run)
  parser.add_argument(
    '--sources',
    metavar='FILE',
    nargs='+',
    action='extend',
    default=[],
    help='declarations of sources of your own, in addition to those in'
    f' ${registry.SOURCES_VARIABLE}',
  )
  return parser


def add_name(parser: argparse.ArgumentParser) -> None:
  """Adds the name of one subset."""
  parser.add_argument('name', metavar='NAME', help=_NAME_HELP)


def add_names(
  parser: argparse.ArgumentParser, nargs: str, summary: str = _NAME_HELP
) -> None:
  """Adds the names of several subsets: '*' for any number, '+' for some."""
  parser.add_argument('names', metavar='NAME', nargs=nargs, help=summary)


def add_flags(parser: argparse._ActionsContainer, **summaries: str) -> None:
  """Adds options without a value, each with what it does."""
  for flag, summary in summaries.items():
    parser.add_argument(f'--{flag}', action='store_true', help=summary)


def add_places(parser: argparse.ArgumentParser, **summaries: str) -> None:
  """Adds options that take a folder, each with what the folder holds."""
  for place, summary in summaries.items():
    parser.add_argument(f'--{place}', metavar='DIR', help=summary)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
  """Adds the folder of prepared datasets."""
  add_places(
    parser,
    data_dir='folder of prepared datasets (default: $TFDS_DATA_DIR, or'
    ' ~/tensorflow_datasets if that is not set)',
  )


def add_dataset(parser: argparse.ArgumentParser) -> None:
  """Adds the dataset, CMNIST or its sample, and the folder it is in."""
  add_data_dir(parser)
  add_flags(
    parser,
    sample='use the small synthetic dataset cmnist_sample instead of CMNIST',
  )


def add_predictions(parser: argparse.ArgumentParser) -> None:
  """Adds what the reports of predictions take: the data, and the format."""
  add_dataset(parser)
  parser.add_argument(
    '--format',
    choices=('text', 'json', 'markdown'),
    default='text',
    help='text for people (the default), json for programs, or markdown',
  )
  add_flags(
    parser,
    trust_labels='use the labels in the files, and compare only the sizes of the'
    ' classes with what is published: for a subset that is not prepared here',
  )


def add_output_folder(
  parser: argparse.ArgumentParser,
  required: bool = True,
  summary: str = 'folder to write',
) -> None:
  """Adds the folder to write."""
  parser.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    required=required,
    help=f'{summary}; files that this command wrote there are replaced, others'
    ' are kept',
  )


def add_file(parser: argparse.ArgumentParser, flag: str, summary: str) -> None:
  """Adds a file to read or to write."""
  parser.add_argument(flag, metavar='FILE', type=pathlib.Path, help=summary)


def add_locations(parser: argparse.ArgumentParser) -> None:
  """Adds the locations in which origin files are searched for."""
  add_places(
    parser,
    download_dir='folder of downloaded files (default: <data_dir>/downloads)',
    manual_dir='folder of origin files you got yourself, such as'
    ' fashion_mnist/train-images-idx3-ubyte.gz (default:'
    ' <download_dir>/manual)',
    mirror='folder or HTTP address with the same layout as manual_dir, tried'
    f' before the original hosts (default: ${origin.MIRROR_VARIABLE})',
  )


def add_timeout(parser: argparse.ArgumentParser) -> None:
  """Adds the time after which a host is given up."""
  parser.add_argument(
    '--timeout',
    metavar='SECONDS',
    type=at_least_one,
    help='how long a host may take to answer, or send next to nothing (default:'
    f' {origin.Locations.timeout:g})',
  )


def at_least_one(text: str) -> int:
  """Returns the number that an argument gives, which must be 1 or more."""
  # More digits than any number of examples or processes has.
  if not re.fullmatch('0*[1-9][0-9]{0,17}', text, re.ASCII):
    raise argparse.ArgumentTypeError(
      f'expected a whole number of at least 1, found {text!r}'
    )
  return int(text)


def named_subsets(names: Iterable[str]) -> list[Subset]:
  """Returns the subsets of some names, each once whatever its spelling.

  Args:
    names: The names.

  Returns:
    The subsets, in the order in which they are first named.

  Raises:
    SubsetNameError: If a name is not that of a subset.
  """
  return list(dict.fromkeys(map(subsets.subset, names)))


def named_sources(names: Iterable[str]) -> list[Source]:
  """Returns the sources of some subsets.

  Args:
    names: The names of the subsets; none for all sources of the paper.

  Returns:
    The sources, first those of the paper, in their order, then extensions.

  Raises:
    SubsetNameError: If a name is not that of a subset.
  """
  named = dict.fromkeys(
    s for subset in named_subsets(names) for s in subset.sources
  )
  paper = [s for s in sources_lib.SOURCES if s in named or not named]
  return paper + [s for s in named if s not in paper]


def origin_locations(args: argparse.Namespace) -> origin.Locations:
  """Returns the locations that a build with these arguments would search."""
  return origin.default_locations(
    args.data_dir,
    download_dir=args.download_dir,
    manual_dir=args.manual_dir,
    mirror=args.mirror,
    timeout=getattr(args, 'timeout', None),
  )


def opened_subset(
  subset: Subset, args: argparse.Namespace, draw: int = 0
) -> Opened:
  """Returns a subset that is open for reading.

  Raises:
    SplitError: If it has no such draw.
    PreparationError: If there is nothing to read it from; says how to build it.
  """
  opened = open_subset(
    subset, data_dir=args.data_dir, sample=args.sample, draw=draw
  )
  if opened is None:
    raise not_prepared(subset.full if draw else subset, args)
  return opened


def not_prepared(subset: Subset, args: argparse.Namespace) -> PreparationError:
  """Returns the error for a subset that is not here; says how to build it."""
  folder = prepared.dataset_dir(
    subset, data_dir=args.data_dir, sample=args.sample
  )
  return PreparationError(
    f'{subset.title} is not prepared in {folder}. Run:'
    f' {how_to_build(subset, args)}'
  )


def how_to_build(subset: Subset, args: argparse.Namespace) -> str:
  """Returns the command that prepares a subset where the arguments say."""
  sample = ['--sample'] if args.sample else []
  data_dir = ['--data_dir', args.data_dir] if args.data_dir else []
  return shlex.join(['cmnist', 'build', subset.name, *sample, *data_dir])
