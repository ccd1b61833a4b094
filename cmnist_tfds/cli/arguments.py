# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import functools
import pathlib
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cmnist_tfds import origin, subsets
from cmnist_tfds import sources as sources_lib
from cmnist_tfds.cache import prepared
from cmnist_tfds.load.open_subset import Opened, open_or_prepare, open_subset
from cmnist_tfds.scoring import suites
from cmnist_tfds.sources import Source, registry
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import OriginFileError, PreparationError

# The arguments of a command, parsed; `resolve` says what is added to them.
Namespace: TypeAlias = argparse.Namespace

# Each argument is written as in the usage: `-o|--output DIR`, `names NAME*` for
# any number of names, `NAME+` for at least one, `NAME?` for one or none. A text is
# its help, and without a metavar that of a flag; other arguments give what
# `argparse` is to know of them. `one of` has options of which a user may give one.
Arguments: TypeAlias = Mapping[str, str | Mapping[str, Any]]


def number(summary: str, default: int | None = None) -> dict[str, Any]:
  """Returns an argument that takes a number; the help tells the default."""
  text = f'{summary} (default: {default})' if default else summary
  return {'type': at_least_one, 'default': default, 'help': text}


def path(
  summary: str, parse: Callable[[str], pathlib.Path] = pathlib.Path, **more: Any
) -> dict[str, Any]:
  """Returns an argument that takes the path of a file or a folder."""
  return {'type': parse, 'help': summary, **more}


def writable_file(text: str) -> pathlib.Path:
  """Returns the path of a file that can be written, before any work is done."""
  atomic.check_file(pathlib.Path(text))
  return pathlib.Path(text)


def picture(summary: str, **more: Any) -> dict[str, Any]:
  """Returns an argument that takes the path of a picture to write."""
  return path(f'{summary} a .png or .svg file', _picture, **more)


def _picture(text: str) -> pathlib.Path:
  from cmnist_tfds.figures import pictures

  pictures.check_picture(pathlib.Path(text))
  return pathlib.Path(text)


def at_least_one(text: str) -> int:
  """Returns the number that an argument gives, which must be 1 or more."""
  # More digits than any number of examples or processes has.
  if not re.fullmatch('0*[1-9][0-9]{0,17}', text, re.ASCII):
    raise argparse.ArgumentTypeError(
      f'expected a whole number of at least 1, found {text!r}'
    )
  return int(text)


def printed(*forms: str) -> Arguments:
  """Returns the argument for the form of what is printed, the first if none."""
  others = ' or '.join(forms[1:])
  text = f'{forms[0]} for people (the default), or {others} for other uses'
  return {'--format': {'choices': forms, 'default': forms[0], 'help': text}}


SUITE: Arguments = {
  '--suite SUITE': {
    'choices': [*suites.suites()],
    'help': 'a suite of subsets: '
    + '; '.join(f'{n}, {suite.about}' for n, suite in suites.suites().items()),
  }
}
NAME = 'name of a subset, such as 3-EElKm, X-24, 2-FKd-r-10 or 1-Km'
KEPT = 'files that this command wrote there are replaced, others are kept'

# What every command takes, also before its name.
_EARLY = {'action': 'store_true', 'default': argparse.SUPPRESS}
COMMON: Arguments = {
  '-q|--quiet': {**_EARLY, 'help': 'print errors and what is asked for, alone'},
  '-v|--verbose': {**_EARLY, 'help': 'print also which files are read'},
}
SOURCES: Arguments = {
  '--sources FILE+': {
    'action': 'extend',
    'default': [],
    'help': 'declarations of sources of your own, in addition to those in'
    f' ${registry.SOURCES_VARIABLE}',
  }
}
DATA_DIR: Arguments = {
  '--data_dir DIR': 'folder of prepared datasets (default: $TFDS_DATA_DIR, or'
  ' ~/tensorflow_datasets if that is not set)'
}
# CMNIST or its sample, and the folder it is in.
DATASET: Arguments = {
  **DATA_DIR,
  '--sample': 'use the small synthetic dataset cmnist_sample instead of CMNIST',
}
RESULTS: Arguments = {
  '--draws J': number(
    'take J other draws of each reduced training set as well, or as many as'
    ' there are',
    0,
  ),
  **DATASET,
  '-o|--output DIR': path(
    'folder of results (default: results, or results_sample with --sample); what'
    ' is there is not computed again'
  ),
}
SUBSET: Arguments = {'name NAME': NAME, **DATASET}
# What the reports of predictions take.
PREDICTIONS: Arguments = {
  **SUBSET,
  **printed('text', 'json', 'markdown'),
  '--trust_labels': 'use the labels in the files, and compare only the sizes of'
  ' the classes with what is published: for a subset that is not prepared here',
}
# Where origin files are searched for.
LOCATIONS: Arguments = {
  '--download_dir DIR': 'folder of downloaded files (default:'
  ' <data_dir>/downloads)',
  '--manual_dir DIR': 'folder of origin files you got yourself, such as'
  ' fashion_mnist/train-images-idx3-ubyte.gz (default: <download_dir>/manual)',
  '--mirror DIR': 'folder or HTTP address with the same layout as manual_dir,'
  ' tried before the original hosts (default:'
  f' ${origin.locations.MIRROR_VARIABLE})',
}
TIMEOUT: Arguments = {
  '--timeout SECONDS': number(
    'how long a host may take to answer, or send next to nothing (default:'
    f' {origin.Locations.timeout:g})'
  )
}
# How and where origin files are searched for, in the arguments of a command.
SEARCHED = ('download_dir', 'manual_dir', 'mirror', 'timeout')
# What commands that draw pictures take.
DARK: Arguments = {'--dark': 'draw light on a dark background'}
OUTPUT: Arguments = {
  '-o|--output DIR': path(f'folder to write; {KEPT}', required=True)
}


def folder(summary: str) -> Arguments:
  """Returns the arguments for a folder to write that may also come first."""
  return {
    'folder DIR?': {'help': argparse.SUPPRESS},
    '-o|--output DIR': path(summary),
  }


def resolve(args: Namespace) -> None:
  """Adds to the arguments of a command what they stand for.

  `subset` and `subsets` are those that `name` and `names` name, or `all` and
  `reduced` in place of names; each once, in the order in which they are first
  named. With `sample` come `dataset`, the name of the dataset; `where`, which
  tells functions of it; and `open`, which opens subsets of it.

  Raises:
    SubsetNameError: If a name is not that of a subset.
    ArgumentError: If subsets are neither named nor all meant, or both; or some
      of them are the sample's and others not.
  """
  if 'folder' in args:
    named = [each for each in (args.output, args.folder) if each]
    if 'names' in args and len(named) > 1:
      args.names.insert(0, named.pop())
    if len(named) != 1:
      raise argparse.ArgumentError(None, 'name one folder to write: -o DIR')
    args.output = pathlib.Path(named[0])
  fields = [getattr(args, f) for f in ('name', 'audited') if f in args]
  named = [*map(subsets.names_sample, [*getattr(args, 'names', ()), *fields])]
  if any(named) and not getattr(args, 'sample', False):
    if 'sample' not in args or not all(named):
      why = 'name subsets of cmnist_sample alone, in a command with --sample'
      raise argparse.ArgumentError(None, f'{why}, or of CMNIST alone')
    args.sample = True
  if 'name' in args:
    args.subset = subsets.subset(args.name)
    args.subsets = [args.subset]
  if 'names' in args:
    args.subsets = list(dict.fromkeys(map(subsets.subset, args.names)))
    if 'all' in args:
      meant = args.all or getattr(args, 'reduced', False)
      if bool(args.names) == meant:
        given = '--reduced or --all' if 'reduced' in args else '--all'
        raise argparse.ArgumentError(None, f'name the subsets, or give {given}')
      if meant:
        known = subsets.declared()
        args.subsets = [s for s in known if args.all or s.per_class]
  if 'sample' in args:
    args.dataset = subsets.SAMPLE if args.sample else subsets.DATASET
    args.where = {'data_dir': args.data_dir, 'sample': args.sample}
    args.open = functools.partial(_open, args)


def named_sources(args: Namespace) -> list[Source]:
  """Returns the sources of the named subsets; those of the paper if none is.

  Returns:
    The sources, first those of the paper, in their order, then extensions.
  """
  named = dict.fromkeys(s for subset in args.subsets for s in subset.sources)
  paper = [s for s in sources_lib.SOURCES if s in named or not named]
  return paper + [s for s in named if s not in paper]


def origin_locations(args: Namespace) -> origin.Locations:
  """Returns the locations that a build with these arguments would search."""
  given = {name: getattr(args, name, None) for name in SEARCHED}
  return origin.default_locations(args.data_dir, **given)


def _open(args: Namespace, subset: Subset, draw: int = 0) -> Opened:
  """Returns a subset that is open for reading.

  Raises:
    SplitError: If it has no such draw.
    PreparationError: If there is nothing to read it from; says how to build it.
  """
  opened = open_subset(subset, **args.where, draw=draw)
  if opened is None:
    # What was named, of which single sources are read.
    whole = (s for s in args.subsets if {*subset.sources} <= {*s.sources})
    lacking = (s for s in whole if not open_subset(s, **args.where))
    named = next(lacking, subset)
    raise not_prepared(args, named.full if draw else named)
  return opened


def fetched(args: Namespace) -> Opened:
  """Returns the subset, of which files that are not here are fetched.

  Raises:
    PreparationError: If its sample is here, and was perhaps meant.
    OriginFileError: If a file cannot be fetched.
  """
  if args.sample or prepared.sample_hint(args.subset, args.data_dir):
    return _open(args, args.subset)
  try:
    return open_or_prepare(args.subset, **args.where)
  except OriginFileError as error:
    command = how_to_build(args, args.subset)
    told = f'{error}, or run {command}, which takes --manual_dir and --mirror'
    raise OriginFileError(told) from error


def not_prepared(args: Namespace, subset: Subset) -> PreparationError:
  """Returns the error for a subset that is not here; says how to build it."""
  folder = prepared.dataset_dir(subset, **args.where)
  command = how_to_build(args, subset)
  hint = '' if args.sample else prepared.sample_hint(subset, args.data_dir)
  return PreparationError(
    f'{subset.title} is not prepared in {folder}.{hint} Run: {command}'
  )


def how_to_build(args: Namespace, subset: Subset) -> str:
  """Returns the command that prepares a subset where the arguments say."""
  sample = ['--sample'] if args.sample else []
  data_dir = ['--data_dir', args.data_dir] if args.data_dir else []
  return shlex.join(['cmnist', 'build', subset.name, *sample, *data_dir])
