# SPDX-License-Identifier: Apache-2.0
"""Fit a model of yours on many subsets; write predictions and scores.

A fit that is there is not made again, and one that fails is told at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import re
import sys
import types
from collections.abc import Callable
from typing import Any

from cmnist_tfds.cli import arguments, baseline_command, terminal
from cmnist_tfds.scoring import benchmarking
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import PreparationError, counted
from cmnist_tfds.system.extras import needs_extra


def _shard(text: str) -> tuple[int, int]:
  """Returns the part that an argument names, from 1, and how many there are."""
  parts = [arguments.at_least_one(part) for part in text.split('/')]
  if len(parts) != 2 or parts[0] > parts[1]:
    raise argparse.ArgumentTypeError(
      f'expected i/n with i from 1 to n, found {text!r}'
    )
  return parts[0], parts[1]


ARGUMENTS = {
  'model FILE.py:FUNCTION': 'the function make_model(seed) in a file of yours. It'
  ' returns anything with fit(x, y) and predict(x); x is uint8 (n, 784) for'
  " scikit-learn's classes and those derived from them, (n, 28, 28) for others",
  'names NAME*': arguments.NAME,
  **arguments.SUITE,
  '--per_class N,...': {
    'type': lambda text: [*map(arguments.at_least_one, text.split(','))],
    'default': [],
    'help': 'take the forms with so many training images of each class, such as'
    ' 1,10,100',
  },
  '--method NAME': 'what the files and the tables call the method (default: the'
  ' name of FILE)',
  '--seeds K': arguments.number('fit with the seeds 1 to K', 1),
  '--jobs N': arguments.number('make N fits at a time', 1),
  '--timeout SECONDS': arguments.number('end a fit after that long'),
  '--shard I/N': {
    'type': _shard,
    'default': (1, 1),
    'help': 'make the I-th of N parts of the fits, as a job of an array does',
  },
  '--backend': {
    'choices': benchmarking.BACKENDS,
    'default': benchmarking.BACKENDS[0],
    'help': 'what of joblib starts the fits; dask and ray do so on several'
    ' machines, which share the folders (default: loky)',
  },
  '--scheduler ADDRESS': 'the scheduler of Dask, such as tcp://host:8786; its'
  ' workers are as many as it has, whatever --jobs says',
  **arguments.RESULTS,
}


def run(args: arguments.Namespace) -> int:
  """Runs the command; returns its exit status."""
  if not (args.names or args.suite):
    raise argparse.ArgumentError(None, 'name the subsets, or give --suite')
  if args.scheduler and args.backend != 'dask':
    raise argparse.ArgumentError(None, '--scheduler is of --backend dask')
  make_model, method, code = _load(args.model)
  options = benchmarking.benchmark.__kwdefaults__ or {}
  given = {name: getattr(args, name) for name in options if name in args}
  given |= {'method': args.method or method, 'code': code}
  names = [subset.name for subset in args.subsets]
  found = benchmarking.benchmark(make_model, names, **given)
  folder = args.output or pathlib.Path('results' + '_sample' * args.sample)
  baseline_command.print_results(folder, args.sample, iter(found.results))
  for note in found.notes:
    streams.LOG.warning('%s', note)
  told = counted(len(found.failures), 'failure')
  again = f'{told}; the same command tries what failed again'
  for failure in (*found.failures, again) if found.failures else ():
    terminal.fail(failure)
  return terminal.FAILED if found.failures else 0


def _load(named: str) -> tuple[Callable[[int], Any], str, str]:
  """Returns a function of a file, the name of the method, and the code.

  Raises:
    PreparationError: If the file cannot be imported or lacks the function.
  """
  with needs_extra('cmnist run', 'scoring'):
    import cloudpickle
  file, _, function = named.rpartition(':')
  path = pathlib.Path(file).absolute()
  # The modules beside it can be imported, also in the processes of fits.
  sys.path.insert(0, str(path.parent))
  module = types.ModuleType(f'cmnist_run_{path.stem}')
  module.__file__ = str(path)
  sys.modules[module.__name__] = module
  # Those processes get its code, and not its name.
  cloudpickle.register_pickle_by_value(module)
  try:
    source = path.read_bytes()
    exec(compile(source, path, 'exec'), vars(module))
    make_model = getattr(module, function)
  # The code of a user may raise any.
  except (Exception, SystemExit) as error:
    said = ' '.join(f'{type(error).__name__}: {error}'.split())
    raise PreparationError(
      f'{named}: expected FILE.py:FUNCTION, such as svm.py:make_model, and it'
      f' cannot be imported: {said}'
    ) from error
  code = f'{path.name}:{function}, SHA-256 {hashlib.sha256(source).hexdigest()}'
  return make_model, re.sub(r'[^\w+-]', '-', path.stem), code
