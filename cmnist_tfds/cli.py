# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The command line: `cmnist`, also `python -m cmnist_tfds`."""

from __future__ import annotations

import argparse
import csv
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import tqdm

import cmnist_tfds
from cmnist_tfds import acquire, build, export, read, subsets
from cmnist_tfds import sources as sources_lib
from cmnist_tfds.acquire import audit
from cmnist_tfds.errors import CmnistError, PreparationError, SubsetNameError
from cmnist_tfds.figures import pictures
from cmnist_tfds.prepare import store
from cmnist_tfds.subsets import Subset

# What needs TFDS is imported where it is used: `cmnist list` answers at once.
if TYPE_CHECKING:
  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 130

_NAME_HELP = 'a subset, as 3-EElKm, X-24, 2-FKd-r-10 or 1-Km'


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line.

  Args:
    argv: Arguments without the program's name; those of the process if None.

  Returns:
    The exit status: 0, 1 (failed) or 2 (usage).
  """
  # TensorFlow tells of its build on stderr unless asked not to.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  args = _parser().parse_args(argv)
  try:
    status = args.run(args)
    sys.stdout.flush()
    return status
  except SubsetNameError as error:
    return _say(error, _USAGE)
  except CmnistError as error:
    return _say(error, _FAILED)
  except BrokenPipeError:
    # Whoever read the output has enough (`cmnist list | head`). Python would
    # complain once more when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except OSError as error:
    # The file system's own words name what failed: no space, no permission.
    return _say(error, _FAILED)
  except KeyboardInterrupt:
    return _say('interrupted; nothing unfinished is kept', _INTERRUPTED)


def _say(error: object, status: int) -> int:
  print(f'cmnist: {error}', file=sys.stderr)
  return status


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='cmnist',
    description=(
      'CMNIST: 134 image classification benchmarks, 28x28 grey, made of'
      ' eleven MNIST-like datasets, for TensorFlow Datasets.'
    ),
  )
  parser.add_argument(
    '--version', action='version', version=f'cmnist {cmnist_tfds.__version__}'
  )
  commands = parser.add_subparsers(
    title='commands', metavar='COMMAND', required=True
  )

  listed = _command(commands, 'list', _list, 'list the 134 subsets')
  listed.add_argument(
    '--all',
    action='store_true',
    help='list the reduced forms of the paper too: 804',
  )
  listed.add_argument(
    '--format',
    choices=('table', 'tsv', 'json'),
    default='table',
    help='table for people (the default), tsv or json for programs',
  )

  info = _command(
    commands, 'info', _info, 'tell all about one subset: classes, licence, ...'
  )
  info.add_argument('name', metavar='NAME', help=_NAME_HELP)
  _add_where(info)

  built = _command(
    commands, 'build', _build, 'download, verify and prepare subsets'
  )
  built.add_argument('names', metavar='NAME', nargs='*', help=_NAME_HELP)
  built.add_argument(
    '--all',
    action='store_true',
    help='build the 134 and their 670 reduced forms',
  )
  _add_where(built)
  _add_places(built)
  built.add_argument(
    '--allow_unverified',
    action='store_true',
    help='build from origin files that cannot be proved to be the right'
    ' ones; the metadata will say so',
  )
  built.add_argument(
    '--jobs',
    type=_at_least_one,
    default=1,
    metavar='N',
    help='how many subsets to build at a time (default: 1)',
  )
  built.add_argument(
    '--overwrite',
    action='store_true',
    help='build anew what is prepared; the old data stays until the new is'
    ' finished',
  )

  _add_faces(commands)

  verify = _command(
    commands,
    'verify',
    _verify,
    'tell of each origin file: where it is and whether it is the right one',
  )
  verify.add_argument(
    'names',
    metavar='NAME',
    nargs='*',
    help='only files of the sources of these subsets',
  )
  _add_data_dir(verify)
  _add_places(verify)
  verify.add_argument(
    '--hashes',
    action='store_true',
    help='print SHA-256 of each file and fingerprint of the array in it, to'
    ' report a file of which none is recorded',
  )

  mirror = _command(
    commands,
    'mirror',
    _mirror,
    'fill a folder with origin files, to serve them over HTTP or to copy',
  )
  mirror.add_argument(
    'folder',
    metavar='DIR',
    type=pathlib.Path,
    help='the folder; what is right in it is kept',
  )
  mirror.add_argument(
    'names',
    metavar='NAME',
    nargs='*',
    help='only files of the sources of these subsets',
  )
  _add_data_dir(mirror)
  _add_places(mirror)

  cache = _command(
    commands,
    'cache',
    _cache,
    'list, measure or clear the encoded sources that builds share',
  )
  cache.add_argument(
    'action',
    nargs='?',
    choices=('list', 'size', 'clear'),
    default='list',
    help='list files (the default), print folder and bytes, or delete all;'
    ' what is deleted is encoded anew when it is needed',
  )
  return parser


def _add_faces(commands: Any) -> None:
  """Adds the commands that show prepared subsets or hand them on."""
  show = _command(
    commands, 'show', _show, 'draw a labelled picture of the classes'
  )
  show.add_argument('name', metavar='NAME', help=_NAME_HELP)
  _add_where(show)
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
    type=_at_least_one,
    metavar='N',
    help='how many examples of each class to draw (default: 3), with'
    ' --confusable to compare (default: 60)',
  )
  show.add_argument('--dark', action='store_true', help='draw light on dark')

  catalog = _command(
    commands,
    'catalog',
    _catalog,
    'write a static site with a page for each subset and each source',
  )
  _add_where(catalog)
  _add_folder(catalog)

  exported = _command(
    commands,
    'export',
    _export,
    'write a subset as files that need no TFDS',
  )
  exported.add_argument('name', metavar='NAME', help=_NAME_HELP)
  _add_where(exported)
  exported.add_argument(
    '--format',
    choices=tuple(export.FORMATS),
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

  described = _command(
    commands,
    'croissant',
    _croissant,
    'describe a subset as Croissant JSON-LD; with -o, with its examples',
  )
  described.add_argument('name', metavar='NAME', help=_NAME_HELP)
  _add_where(described)
  described.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    help='write the description and the examples of the prepared subset, as'
    ' Parquet, to this folder; without it the description is printed',
  )

  published = _command(
    commands,
    'publish',
    _publish,
    'lay prepared subsets out, with a dataset card, for others to read'
    ' without this package',
  )
  published.add_argument('names', metavar='NAME', nargs='+', help=_NAME_HELP)
  _add_where(published)
  _add_folder(published)

  pulled = _command(
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


def _command(
  commands: Any,
  name: str,
  run: Callable[[argparse.Namespace], int],
  summary: str,
) -> argparse.ArgumentParser:
  command = commands.add_parser(name, help=summary, description=summary)
  command.set_defaults(run=run)
  return command


def _add_data_dir(command: argparse.ArgumentParser) -> None:
  command.add_argument(
    '--data_dir',
    metavar='D',
    help='where prepared datasets are (default: TFDS_DATA_DIR, else'
    ' ~/tensorflow_datasets)',
  )


def _add_folder(command: argparse.ArgumentParser) -> None:
  command.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    required=True,
    help='the folder to write; one that this command wrote is replaced',
  )


def _add_where(command: argparse.ArgumentParser) -> None:
  _add_data_dir(command)
  command.add_argument(
    '--sample',
    action='store_true',
    help='use the small synthetic sample (cmnist_sample) in place of CMNIST',
  )


def _add_places(command: argparse.ArgumentParser) -> None:
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
    f' before their origins (default: {acquire.MIRROR_VARIABLE})',
  )


def _at_least_one(text: str) -> int:
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f'must be at least 1, not {text}')
  return number


# list ----------------------------------------------------------------------


def _row(subset: Subset) -> dict[str, Any]:
  """What `list` says of a subset; None where only its files can tell."""
  return {
    'name': subset.name,
    'sources': ','.join(s.key for s in subset.sources),
    'classes': subset.num_classes,
    'balanced': 'Yes' if subset.balanced else 'No',
    'train': subset.num_train,
    'test': subset.num_test,
  }


def _list(args: argparse.Namespace) -> int:
  rows = [
    _row(s) for s in (subsets.declared() if args.all else subsets.published())
  ]
  if args.format == 'json':
    print(json.dumps(rows, indent=2))
  elif args.format == 'tsv':
    writer = csv.DictWriter(
      sys.stdout, list(rows[0]), delimiter='\t', lineterminator='\n'
    )
    writer.writeheader()
    writer.writerows(rows)
  else:
    lines = [tuple(row.values()) for row in rows]
    # Counting lines or cutting columns needs no headline; a person does.
    head = [tuple(rows[0])] if sys.stdout.isatty() else []
    _print_table(head + lines, right_from=2)
  return 0


def _print_table(
  rows: Sequence[Sequence[Any]], right_from: int = sys.maxsize
) -> None:
  """Prints rows in aligned columns, those from `right_from` on to the right."""
  cells = [
    [f'{c:,}' if isinstance(c, int) else str(c) for c in row] for row in rows
  ]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  for row in cells:
    aligned = (
      cell.rjust(width) if i >= right_from else cell.ljust(width)
      for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    print('  '.join(aligned).rstrip())


# info ----------------------------------------------------------------------


def _info(args: argparse.Namespace) -> int:
  subset = subsets.subset(args.name)
  builder = _builder(subset, args)
  prepared = _is_prepared(builder)
  info = builder.info
  splits = (
    ', '.join(
      f'{info.splits[split].num_examples:,} {split}'
      for split in sources_lib.SPLITS
    )
    if prepared
    else _splits_of(subset)
  )
  print(f'{builder.name}/{subset.name} ({subset.title})')
  print(f'examples  {splits}')
  print(
    f'classes   {subset.num_classes}, '
    f'{"balanced" if info.metadata["balanced"] else "not balanced"}'
  )
  print(
    f'prepared  {builder.data_dir if prepared else "no: " + _how_to_build(builder)}'
  )
  for row in info.metadata['sources']:
    if row['verified']:
      proofs = ', '.join(sorted(set(row['verified'].values())))
      print(f'  {row["key"]} verified by {proofs}')
  print('\nlabel  source  raw     train      test  class')
  for row in info.metadata['classes']:
    train, test = (
      '?' if row[s] is None else f'{row[s]:,}' for s in sources_lib.SPLITS
    )
    print(
      f'{row["label"]:>5}  {row["source"]:<6}  {row["source_label"]:>3}'
      f'  {train:>8}  {test:>8}  {row["name"]}'
    )
  for source in subset.sources:
    print(f'\n{source.key}: {source.title}, {source.homepage}')
    print(f'  licence: {source.license}')
    for fault in source.faults:
      print(f'  know that: {fault}')
  print(f'\n{info.citation}')
  return 0


def _splits_of(subset: Subset) -> str:
  train = '?' if subset.num_train is None else f'{subset.num_train:,}'
  test = '?' if subset.num_test is None else f'{subset.num_test:,}'
  return f'{train} train, {test} test'


def _how_to_build(builder: CmnistBuilder) -> str:
  sample = ' --sample' if builder.name == read.SAMPLE else ''
  where = f' --data_dir {builder.data_dir_root}'
  return f'cmnist build {builder.subset.name}{sample}{where}'


# build ---------------------------------------------------------------------


def _build(args: argparse.Namespace) -> int:
  if bool(args.names) == args.all:
    return _say('name the subsets to build, or give --all', _USAGE)
  chosen = (
    list(subsets.declared())
    if args.all
    # The same subset in two spellings is built once.
    else list(dict.fromkeys(map(subsets.subset, args.names)))
  )
  options = build.Options(
    sample=args.sample,
    data_dir=args.data_dir,
    download_dir=args.download_dir,
    manual_dir=args.manual_dir,
    mirror=args.mirror,
    allow_unverified=args.allow_unverified,
    overwrite=args.overwrite,
  )
  rows = []
  status = 0
  try:
    for outcome in build.build(chosen, options, args.jobs):
      if outcome.fault:
        status = _say(f'{outcome.name}: {outcome.fault}', _FAILED)
      else:
        rows.append(
          (
            outcome.name,
            outcome.num_examples,
            outcome.num_bytes,
            f'{outcome.seconds:.1f}',
            outcome.data_dir,
          )
        )
  finally:
    # After Ctrl-C too: what is finished stays.
    if rows:
      head = ('subset', 'examples', 'bytes', 'seconds', 'where')
      _print_table([head, *rows], right_from=1)
  return status


def _builder(
  subset: Subset, args: argparse.Namespace, **kwargs: Any
) -> CmnistBuilder:
  return read.builder_of(
    subset.name, data_dir=args.data_dir, sample=args.sample, **kwargs
  )


def _is_prepared(builder: CmnistBuilder) -> bool:
  return builder.data_path.exists() and builder.is_prepared()


# show ----------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
  found = _readable(args)
  drawing = pictures.draw(found, args.kind, args.examples)
  pictures.write(drawing, args.output, dark=args.dark)
  print(
    f'{found.dataset}/{found.subset.name}: {found.subset.num_classes} classes'
    f' drawn to {args.output}'
  )
  return 0


def _readable(args: argparse.Namespace) -> read.Readable:
  """Returns a subset that must be prepared, or else its sources encoded."""
  found = read.find_readable(
    args.name, data_dir=args.data_dir, sample=args.sample
  )
  return found or _prepared(subsets.subset(args.name), args)


def _prepared(subset: Subset, args: argparse.Namespace) -> read.Prepared:
  """Returns a subset that must be prepared."""
  found = read.find(subset.name, data_dir=args.data_dir, sample=args.sample)
  if found is None:
    builder = _builder(subset, args)
    raise PreparationError(
      f'{builder.info.full_name} is not prepared in'
      f' {builder.data_dir_root}. Run: {_how_to_build(builder)}'
    )
  return found


# catalog -------------------------------------------------------------------


def _catalog(args: argparse.Namespace) -> int:
  from cmnist_tfds.catalog import site

  looked = site.write(args.output, args.data_dir, sample=args.sample)
  unseen = [s.key for s in sources_lib.SOURCES if not looked.has_pictures_of(s)]
  print(f'{args.output / "index.html"}: {len(subsets.published())} subsets')
  if unseen:
    print(f'no pictures of {", ".join(unseen)}: no prepared subset has them')
  return 0


# export --------------------------------------------------------------------


def _export(args: argparse.Namespace) -> int:
  found = _readable(args)
  export.export(found, args.format, args.output)
  print(
    f'{found.dataset}/{found.subset.name}: written as {args.format} to'
    f' {args.output}'
  )
  return 0


# croissant -----------------------------------------------------------------


def _croissant(args: argparse.Namespace) -> int:
  from cmnist_tfds import croissant

  if args.output is None:
    print(croissant.describe(subsets.subset(args.name)), end='')
    return 0
  found = _prepared(subsets.subset(args.name), args)
  count = croissant.export(found, args.output)
  print(f'{args.output / croissant.FILE}: {count:,} examples')
  return 0


# publish -------------------------------------------------------------------


def _publish(args: argparse.Namespace) -> int:
  from cmnist_tfds import publish

  chosen = dict.fromkeys(map(subsets.subset, args.names))
  publish.publish([_prepared(s, args) for s in chosen], args.output)
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


# verify, mirror ------------------------------------------------------------


def _verify(args: argparse.Namespace) -> int:
  findings = list(
    audit.audit(_sources(args.names), _places(args), hashes=args.hashes)
  )
  head = ['file', 'bytes', 'proof', 'where, or what is wrong']
  if args.hashes:
    head[3:3] = ['sha256', 'fingerprint']
  rows = []
  for found in findings:
    row = [
      found.file.path,
      '-' if found.size is None else f'{found.size:,}',
      found.proof.value
      if found.proof
      else 'WRONG'
      if found.copy
      else 'missing',
      ' '.join((found.fault or str(found.copy)).split()),
    ]
    if args.hashes:
      row[3:3] = [found.sha256 or '-', found.fingerprint or '-']
    rows.append(row)
  _print_table([head, *rows])
  wrong = sum(1 for found in findings if found.fault)
  print(f'{len(findings) - wrong} of {len(findings)} files are right')
  return _FAILED if wrong else 0


def _mirror(args: argparse.Namespace) -> int:
  # They bring an HTTP library.
  from cmnist_tfds.acquire import mirror as mirror_lib
  from cmnist_tfds.acquire import transfer

  status = 0
  with tqdm.tqdm(
    unit='B', unit_scale=True, disable=not sys.stderr.isatty()
  ) as progress:
    for filled in mirror_lib.fill(
      args.folder,
      _sources(args.names),
      _places(args),
      transfer.Client(),
      progress.update,
    ):
      progress.clear()
      if filled.fault:
        status = _say(f'{filled.file.path}: {filled.fault}', _FAILED)
      else:
        origin = f'from {filled.origin}' if filled.origin else 'was there'
        print(f'{filled.file.path}: {origin}', flush=True)
  return status


def _sources(names: Sequence[str]) -> list[sources_lib.Source]:
  """Returns the sources of some subsets, all if none are named."""
  if not names:
    return list(sources_lib.SOURCES)
  named = {s for name in names for s in subsets.subset(name).sources}
  return [s for s in sources_lib.SOURCES if s in named]


def _places(args: argparse.Namespace) -> acquire.Places:
  """Returns the places a build with these arguments looks in."""
  from cmnist_tfds import downloads

  builder = read.builder_of(subsets.DEFAULT, data_dir=args.data_dir)
  download_dir = pathlib.Path(
    args.download_dir or builder.data_dir_root / 'downloads'
  ).expanduser()
  mirror = acquire.mirror_of_user(args.mirror)
  return acquire.Places(
    manual_dir=pathlib.Path(
      args.manual_dir or download_dir / 'manual'
    ).expanduser(),
    mirror=mirror,
    cached=lambda file: downloads.cached_file(download_dir, file, mirror),
  )


# cache ---------------------------------------------------------------------


def _cache(args: argparse.Namespace) -> int:
  entries = store.clear() if args.action == 'clear' else store.entries()
  total = sum(entry.num_bytes for entry in entries)
  if args.action == 'list' and entries:
    _print_table(
      [(e.path.name, e.description, e.num_bytes) for e in entries],
      right_from=2,
    )
  done = 'deleted from' if args.action == 'clear' else 'in'
  print(f'{len(entries)} files, {total:,} bytes {done} {store.encoded_dir()}')
  return 0
