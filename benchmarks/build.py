# SPDX-License-Identifier: Apache-2.0
"""Measures how fast subsets are built, against a stock TFDS builder.

    python benchmarks/build.py --json build.json

Makes stand-ins for the origin files and builds subsets from them, in turn with
a stock builder and with this package, each time in a new process. Prints a
Markdown table, which README.md beside this file explains.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any

import stand_ins

# Holds the task of a measuring process as JSON. It is an environment variable
# so that the processes which that process starts find it too.
_TASK = 'CMNIST_BENCHMARK_TASK'

_MIB = 2**20

# The short form has one example for so many of a source.
_SHORT_SCALE = 200

# How many examples of each split of the largest subset the stock builder writes.
_TRUNCATED = 50_000

# Bytes on disk per example, an upper bound of the average over all subsets.
_BYTES_PER_EXAMPLE = 600

# How many images of each source are compressed with zlib for comparison.
_SAMPLED = 1000


# Tasks of measuring processes -------------------------------------------------
#
# Each function returns what to report besides time and memory. It calls `start`
# after all imports; the time counts from there.

_Start = Callable[[], None]


def _stock(
  start: _Start,
  folder: str,
  data_dir: str,
  name: str,
  file_format: str = 'tfrecord',
  limit: int | None = None,
) -> dict[str, Any]:
  """Builds a subset as TFDS's guide shows: one example of arrays at a time."""
  import numpy as np
  import tensorflow  # noqa: F401  # Or its import would be timed.
  import tensorflow_datasets as tfds

  from cmnist_tfds import origin, subsets

  subset = subsets.subset(name)
  places = origin.Locations(manual_dir=pathlib.Path(folder))
  reading = 0.0

  class Stock(tfds.core.GeneratorBasedBuilder):
    """Holds the same examples as this package's dataset."""

    VERSION = tfds.core.Version('1.0.0')

    def _info(self) -> tfds.core.DatasetInfo:
      return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict(
          {
            'image': tfds.features.Image(
              shape=(28, 28, 1), dtype=np.uint8, encoding_format='png'
            ),
            'label': tfds.features.ClassLabel(
              names=[c.name for c in subset.classes]
            ),
            'source': tfds.features.ClassLabel(
              names=[s.key for s in subset.sources]
            ),
            'source_label': np.int64,
          }
        ),
      )

    def _split_generators(
      self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[Any]]:
      del dl_manager
      return {s: self._generate_examples(s) for s in ('train', 'test')}

    def _generate_examples(self, split: str) -> Iterator[Any]:
      nonlocal reading
      key = 0
      for index, (source, raw_labels) in enumerate(subset.members):
        began = time.monotonic()
        arrays = origin.load_split.load_split(source, split, places)
        reading += time.monotonic() - began
        label_of = {
          c.raw_label: c.label
          for c in subset.classes
          if c.source_number == index
        }
        for row in subsets.rows(
          arrays.labels, raw_labels, subset.train_limit(split)
        ):
          if key == limit:
            return
          raw = int(arrays.labels[row])
          example = {
            'image': arrays.images[row, :, :, np.newaxis],
            'label': label_of[raw],
            'source': index,
            'source_label': raw,
          }
          yield key, example
          key += 1

  start()
  Stock(data_dir=data_dir, file_format=file_format).download_and_prepare()
  return {'reading': reading}


def _command(start: _Start, arguments: list[str]) -> dict[str, Any]:
  """Runs `cmnist`."""
  import tensorflow_datasets  # noqa: F401  # Or its import would be timed.

  from cmnist_tfds import cli

  start()
  _check(cli.main(arguments))
  return {}


def _check(status: int) -> None:
  if status:
    sys.exit(status)


def _through_tfds(
  start: _Start, folder: str, data_dir: str, name: str, file_format: str
) -> dict[str, Any]:
  """Builds a subset through TFDS in a given format."""
  import tensorflow_datasets as tfds
  from array_record.python import array_record_module  # noqa: F401

  import cmnist_tfds  # noqa: F401  # Registers the dataset.

  start()
  tfds.builder(f'cmnist/{name}', data_dir=data_dir).download_and_prepare(
    file_format=file_format,
    download_config=tfds.download.DownloadConfig(manual_dir=folder),
  )
  return {}


def _open(folder: str, name: str, split: str, *, raw: bool = False) -> Any:
  """Opens a split in the cache, after making what the cache lacks."""
  from cmnist_tfds import origin, subsets
  from cmnist_tfds.cache import split_sources

  return split_sources.open_split(
    subsets.subset(name),
    split,
    origin.Locations(manual_dir=pathlib.Path(folder)),
    encoded=not raw,
  )


def _make(
  start: _Start, folder: str, scale: int, real_files: str | None
) -> dict[str, Any]:
  """Makes the stand-ins in a process of their own, to keep this one small."""
  start()
  stand_ins.make(
    pathlib.Path(folder), scale, real_files and pathlib.Path(real_files)
  )
  return {}


def _cache(start: _Start, folder: str, kind: str) -> dict[str, Any]:
  """Puts one kind of all sources into the cache."""
  from cmnist_tfds import sources
  from cmnist_tfds.cache import split_sources, store  # noqa: F401

  num_examples = 0
  start()
  for source in sources.SOURCES:
    for split in sources.SPLITS:
      # Keep no reference: the mapped pages of a source would count as memory
      # while the next source is read.
      num_examples += len(
        _open(folder, f'1-{source.key}', split, raw=kind == 'arrays')[0]
      )
  return {
    'num_examples': num_examples,
    'num_bytes': sum(entry.num_bytes for entry in store.entries(kind)),
  }


def _density(start: _Start, folder: str) -> dict[str, Any]:
  """Compares the sizes of some PNGs with their sizes at zlib's level 6."""
  import zlib

  import numpy as np

  from cmnist_tfds import sources

  start()
  ours = zlibs = 0
  for source in sources.SOURCES:
    (encoded,) = _open(folder, f'1-{source.key}', 'train')
    (raw,) = _open(folder, f'1-{source.key}', 'train', raw=True)
    ours += int(encoded.take('lengths')[:_SAMPLED].sum(dtype=np.int64))
    # Signature, header, IDAT and IEND of a PNG take 57 bytes.
    for image in raw.take('images')[:_SAMPLED]:
      unfiltered = np.pad(image, [(0, 0), (1, 0)]).tobytes()
      zlibs += 57 + len(zlib.compress(unfiltered, 6))
  return {'png_bytes_against_zlib_6': ours / zlibs}


def _frame(start: _Start, folder: str, name: str) -> dict[str, Any]:
  """Joins the records of a subset and writes them to the null device."""
  from cmnist_tfds import sources
  from cmnist_tfds.datasets.fast_path import joiner, write

  num_examples = num_bytes = 0
  for split in sources.SPLITS:
    _open(folder, name, split)
  start()
  for split in sources.SPLITS:
    opened = _open(folder, name, split)
    size = sum(map(len, opened))
    joined = joiner.SplitRecords(split, opened, size)
    write.write_tfrecord(joined, pathlib.Path(os.devnull), 0, size)
    num_examples += size
    num_bytes += joined.num_bytes
  return {'num_examples': num_examples, 'num_bytes': num_bytes}


def _inflate(start: _Start, folder: str, name: str) -> dict[str, Any]:
  """Reads the arrays of a subset's sources without verification."""
  from cmnist_tfds import origin, subsets
  from cmnist_tfds.formats import idx_npz
  from cmnist_tfds.origin import locations

  where = origin.Locations(manual_dir=pathlib.Path(folder))
  num_examples = num_bytes = 0
  start()
  for source in subsets.subset(name).sources:
    for split in source.splits.values():
      for file in split.files:
        copy = next(locations.copies_on_disk(file, where))
        data = copy.read()
        array = idx_npz.read_array(data)
        num_bytes += len(data)
      num_examples += len(array)
  return {'num_examples': num_examples, 'num_bytes': num_bytes}


def _write(start: _Start, path: str, num_bytes: int) -> dict[str, Any]:
  """Writes a number of bytes to a file, 4 MiB at a time."""
  part = os.urandom(4 * _MIB)
  start()
  with open(path, 'wb', buffering=0) as file:
    for begin in range(0, num_bytes, len(part)):
      file.write(part[: num_bytes - begin])
  return {'num_bytes': num_bytes}


_TASKS: dict[str, Callable[..., dict[str, Any]]] = {
  task.__name__: task
  for task in (
    _stock,
    _command,
    _through_tfds,
    _make,
    _cache,
    _density,
    _frame,
    _inflate,
    _write,
  )
}


def _work(task: dict[str, Any]) -> None:
  """Runs a task in a measuring process and writes its result to a file."""
  if task['stand_ins']:
    stand_ins.use(pathlib.Path(task['stand_ins']))
  began = 0.0

  def start() -> None:
    nonlocal began
    began = time.monotonic()

  result = _TASKS[task['name']](start, **task['arguments'])
  result['seconds'] = time.monotonic() - began
  pathlib.Path(task['result']).write_text(json.dumps(result), 'utf-8')


# Measuring -------------------------------------------------------------------


@dataclasses.dataclass
class Row:
  """One line of the table.

  Attributes:
    case: What is built.
    way: How it is built, or which limit is measured.
    num_examples: The number of examples.
    num_bytes: The bytes of the examples as TFDS counts them, or the bytes of the
      files where files are read or cached.
    seconds: The best time of all repetitions, in s, without imports.
    process_seconds: The best time of the whole process, in s.
    peak_mib: The largest resident memory of any process, in MiB.
    note: A remark.
    repetitions: The measurements of each repetition.
    times_stock: How many times faster it is than the stock builder, without
      imports; None if the stock builder is not measured.
    process_times_stock: The same ratio for whole processes.
  """

  case: str
  way: str
  num_examples: int
  num_bytes: int
  seconds: float
  process_seconds: float
  peak_mib: float
  note: str
  repetitions: list[dict[str, Any]]
  times_stock: float | None = None
  process_times_stock: float | None = None


@dataclasses.dataclass(frozen=True)
class Bench:
  """The settings of all measurements.

  Attributes:
    scratch: The folder for all files.
    scale: The stand-ins have one example for so many of a source.
    repetitions: The number of repetitions of each measurement.
    limit: How many examples of each split of the largest subset the stock
      builder writes; None for all.
  """

  scratch: pathlib.Path
  scale: int
  repetitions: int
  limit: int | None

  @property
  def folder(self) -> str:
    """The folder with the stand-ins."""
    return str(self.scratch / f'stand_ins_{self.scale}')

  @property
  def data_dir(self) -> str:
    """The folder for datasets. It is emptied before each measurement."""
    return str(self.scratch / 'data')

  @property
  def cache_dir(self) -> str:
    """The cache folder that the measurements share."""
    return str(self.scratch / f'cache_{self.scale}')

  def run(
    self,
    function: Callable[..., Any],
    *,
    use_stand_ins: bool = True,
    cache_dir: str | None = None,
    **arguments: Any,
  ) -> dict[str, Any]:
    """Runs a task in a new process.

    Args:
      function: One of `_TASKS`.
      use_stand_ins: Whether it uses stand-ins for the origin files.
      cache_dir: The cache folder; the shared one if None.
      **arguments: The arguments of the task.

    Returns:
      What the task reports, with its time and memory.

    Raises:
      RuntimeError: If the task fails. The message contains its output.
    """
    result = self.scratch / 'result.json'
    task = {
      'name': function.__name__,
      'stand_ins': self.folder if use_stand_ins else '',
      'result': str(result),
      'arguments': arguments,
    }
    environment = {
      **os.environ,
      _TASK: json.dumps(task),
      'CMNIST_CACHE_DIR': cache_dir or self.cache_dir,
      'TF_CPP_MIN_LOG_LEVEL': '3',
    }
    # Otherwise Python would compile modules during each measurement.
    environment.pop('PYTHONDONTWRITEBYTECODE', None)
    with open(self.scratch / 'output.txt', 'w+', encoding='utf-8') as output:
      began = time.monotonic()
      process = subprocess.Popen(
        [sys.executable, __file__],
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
      )
      _, status, usage = os.wait4(process.pid, 0)
      seconds = time.monotonic() - began
      if status:
        output.seek(0)
        raise RuntimeError(f'{task} failed:\n{output.read()}')
    report = json.loads(result.read_text('utf-8'))
    report['process_seconds'] = seconds
    # Other work on the machine hardly changes this time.
    report['cpu_seconds'] = usage.ru_utime + usage.ru_stime
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == 'darwin' else 1024
    report['peak_mib'] = usage.ru_maxrss * unit / _MIB
    return report

  def build(
    self,
    function: Callable[..., Any],
    *,
    cold: bool = False,
    existing: Sequence[str] = (),
    **arguments: Any,
  ) -> dict[str, Any]:
    """Builds datasets in an empty folder and deletes them.

    Args:
      function: One of `_TASKS`.
      cold: Whether the cache is empty.
      existing: Subsets that are built beforehand and not measured.
      **arguments: The arguments of the task.

    Returns:
      The result of `run`, with the numbers of examples and bytes.
    """
    shutil.rmtree(self.data_dir, ignore_errors=True)
    if existing:
      self.run(_command, arguments=self.build_arguments(existing))
    before = _tally(pathlib.Path(self.data_dir))
    with tempfile.TemporaryDirectory(dir=self.scratch) as empty:
      result = self.run(
        function, cache_dir=empty if cold else None, **arguments
      )
    after = _tally(pathlib.Path(self.data_dir))
    shutil.rmtree(self.data_dir, ignore_errors=True)
    return {key: after[key] - before[key] for key in after} | result

  def build_arguments(self, names: Sequence[str], *options: str) -> list[str]:
    """Returns the arguments with which `cmnist` builds subsets."""
    where = ['--data_dir', self.data_dir, '--manual_dir', self.folder]
    return ['build', *names, *where, *options]


def _tally(data_dir: pathlib.Path) -> dict[str, int]:
  """Counts the examples, their bytes, and the bytes on disk of a folder."""
  num_examples = num_bytes = 0
  for path in data_dir.glob('**/dataset_info.json'):
    for split in json.loads(path.read_text('utf-8'))['splits']:
      num_examples += sum(map(int, split['shardLengths']))
      num_bytes += int(split['numBytes'])
  # Files may be linked; each counts once.
  blocks = {
    stat.st_ino: stat.st_blocks
    for stat in (path.stat() for path in data_dir.rglob('*'))
  }
  return {
    'num_examples': num_examples,
    'num_bytes': num_bytes,
    'disk_bytes': 512 * sum(blocks.values()),
  }


def _row(
  case: str, way: str, repetitions: list[dict[str, Any]], note: str = ''
) -> Row:
  return Row(
    case=case,
    way=way,
    num_examples=repetitions[0].get('num_examples', 0),
    num_bytes=repetitions[0].get('num_bytes', 0),
    seconds=min(r['seconds'] for r in repetitions),
    process_seconds=min(r['process_seconds'] for r in repetitions),
    peak_mib=max(r['peak_mib'] for r in repetitions),
    note=note,
    repetitions=repetitions,
  )


def _compare(bench: Bench, case: str, ways: dict[str, Any]) -> list[Row]:
  """Measures several ways in turn and compares them with the stock builder."""
  measured: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
  for _ in range(bench.repetitions):
    for way, build in ways.items():
      measured[way].append(build())
  rows = [_row(case, way, runs) for way, runs in measured.items()]
  stock, *others = rows
  if stock.way == 'stock':
    _scale(stock, others[0].num_examples)
    for row in others:
      row.times_stock = stock.seconds / row.seconds
      row.process_times_stock = stock.process_seconds / row.process_seconds
  return rows


def _scale(row: Row, num_examples: int) -> None:
  """Scales the time of a part to the whole, except for the time of reading."""
  if row.num_examples == num_examples:
    return
  reading = min(r['reading'] for r in row.repetitions)
  scale = num_examples / row.num_examples
  added = (row.seconds - reading) * (scale - 1)
  row.note = f'scaled from {row.num_examples:,} examples'
  row.seconds += added
  row.process_seconds += added
  row.num_bytes = int(row.num_bytes * scale)
  row.num_examples = num_examples


# The cases -------------------------------------------------------------------


def _encoding(bench: Bench) -> Iterator[Row]:
  """Both kinds of all sources, which the following cases find in the cache."""
  result: dict[str, list[dict[str, Any]]] = {'arrays': [], 'encoded': []}
  for _ in range(bench.repetitions):
    shutil.rmtree(bench.cache_dir, ignore_errors=True)
    for kind, repetitions in result.items():
      repetitions.append(bench.run(_cache, folder=bench.folder, kind=kind))
  ratio = bench.run(_density, folder=bench.folder)['png_bytes_against_zlib_6']
  result['encoded'][0]['png_bytes_against_zlib_6'] = ratio
  yield _row('all sources', 'raw pixels', result['arrays'])
  yield _row(
    'all sources',
    'encoded images',
    result['encoded'],
    f'from raw pixels; {100 * (ratio - 1):+.1f} % bytes against zlib level 6',
  )


def _subset(
  bench: Bench, name: str, *, whole: bool, limit: int | None = None
) -> Iterator[Row]:
  """One subset, with a full and with an empty cache.

  Args:
    bench: The settings.
    name: Name of the subset.
    whole: Whether to measure the stock builder and the limits of the machine.
    limit: How many examples of each split the stock builder writes; None for
      all.

  Yields:
    The rows.
  """
  command = bench.build_arguments([name])
  ways = {
    'stock': lambda: bench.build(
      _stock,
      folder=bench.folder,
      data_dir=bench.data_dir,
      name=name,
      limit=limit,
    ),
    'cmnist': lambda: bench.build(_command, arguments=command),
    'cmnist, first': lambda: bench.build(
      _command, cold=True, arguments=command
    ),
  }
  if not whole:
    del ways['stock']
  rows = _compare(bench, name, ways)
  yield from rows
  if not whole:
    return
  for way, run in {
    'framing to /dev/null': lambda: bench.run(
      _frame, folder=bench.folder, name=name
    ),
    'raw write': lambda: _raw_write(bench, rows[-1]),
    'inflating the sources': lambda: bench.run(
      _inflate, folder=bench.folder, name=name
    ),
  }.items():
    yield _row(name, way, [run() for _ in range(bench.repetitions)])


def _raw_write(bench: Bench, row: Row) -> dict[str, Any]:
  """Writes as many bytes as the build of a row."""
  path = bench.scratch / 'raw'
  try:
    result = bench.run(
      _write, path=str(path), num_bytes=row.repetitions[0]['disk_bytes']
    )
  finally:
    path.unlink(missing_ok=True)
  return result | {'num_examples': row.num_examples}


def _array_record(bench: Bench, *, stock: bool) -> Iterator[Row]:
  """2-FKd in the format for PyTorch and JAX."""
  arguments: dict[str, Any] = {
    'folder': bench.folder,
    'data_dir': bench.data_dir,
    'name': '2-FKd',
    'file_format': 'array_record',
  }
  ways = {
    'stock': lambda: bench.build(_stock, **arguments),
    'cmnist': lambda: bench.build(_through_tfds, **arguments),
  }
  if not stock:
    del ways['stock']
  yield from _compare(bench, '2-FKd as array_record', ways)


def _reduced(bench: Bench, *, stock: bool) -> Iterator[Row]:
  """A reduced subset, with and without the full one beside it."""
  name = '2-FKd-r-10'
  command = bench.build_arguments([name])
  ways = {
    'stock': lambda: bench.build(
      _stock, folder=bench.folder, data_dir=bench.data_dir, name=name
    ),
    'cmnist': lambda: bench.build(_command, arguments=command),
    'cmnist, 2-FKd there': lambda: bench.build(
      _command, existing=['2-FKd'], arguments=command
    ),
  }
  if not stock:
    del ways['stock']
  for row in _compare(bench, name, ways):
    row.note = f'{row.repetitions[0]["disk_bytes"]:,} bytes of disk'
    yield row


def _family(
  bench: Bench, full: Sequence[str], declared: Sequence[str]
) -> Iterator[Row]:
  """All subsets, then their reduced forms; measured once."""
  from cmnist_tfds import subsets

  sizes = [
    (s.num_train or 0) + (s.num_test or 0) for s in map(subsets.subset, full)
  ]
  needed = _BYTES_PER_EXAMPLE * sum(sizes) / bench.scale
  if needed > shutil.disk_usage(bench.scratch).free:
    print(
      f'family is left out: it needs {needed / 1e9:,.0f} GB in {bench.scratch}.',
      file=sys.stderr,
    )
    return
  jobs = str(os.cpu_count())
  data_dir = pathlib.Path(bench.data_dir)
  shutil.rmtree(data_dir, ignore_errors=True)
  rows = []
  for names in (full, declared):
    command = bench.build_arguments(names, '--jobs', jobs)
    result = bench.run(_command, arguments=command) | _tally(data_dir)
    disk = result['disk_bytes']
    times = disk / (rows[0].repetitions[0]['disk_bytes'] if rows else disk)
    note = f'{jobs} at a time; {disk:,} bytes of disk, {times:.3f} x'
    rows.append(_row(f'{len(names)} subsets', 'cmnist', [result], note))
  # The second command finds the full subsets built and adds the others.
  for key in ('num_examples', 'num_bytes'):
    setattr(rows[1], key, getattr(rows[1], key) - getattr(rows[0], key))
  rows[1].case = f'{len(declared) - len(full)} reduced ones beside them'
  shutil.rmtree(data_dir)
  yield from rows
  yield _row(rows[0].case, 'raw write', [_raw_write(bench, rows[0])])


def _cases(bench: Bench, *, short: bool) -> dict[str, Iterator[Row]]:
  """Returns the cases, by name."""
  from cmnist_tfds import subsets

  full = [s.name for s in subsets.published()]
  declared = [s.name for s in subsets.declared()]
  if short:
    full = ['2-FKd', 'X-12']
    declared = [*full, '2-FKd-r-1', 'X-12-r-1']
  stock = not short
  return {
    'encoding': _encoding(bench),
    '2-FKd': _subset(bench, '2-FKd', whole=True),
    'array_record': _array_record(bench, stock=stock),
    'reduced': _reduced(bench, stock=stock),
    '3-EElKm': _subset(bench, '3-EElKm', whole=stock),
    '4-EcFKdK49': _subset(bench, '4-EcFKdK49', whole=stock, limit=bench.limit),
    'family': _family(bench, full, declared),
  }


def _machine() -> dict[str, Any]:
  """Describes the machine and the versions of the software."""
  cpu = platform.processor() or platform.machine()
  cpuinfo = pathlib.Path('/proc/cpuinfo')
  if cpuinfo.exists():
    for line in cpuinfo.read_text('utf-8').splitlines():
      if line.startswith('model name'):
        cpu = line.partition(':')[2].strip()
  return {
    'date': datetime.date.today().isoformat(),
    'cpu': cpu,
    'cores': os.cpu_count(),
    'memory_gib': round(
      os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1
    ),
    'load_before': os.getloadavg(),
    'system': platform.platform(terse=True),
    'python': platform.python_version(),
  } | {
    package: metadata.version(package)
    for package in ('tensorflow', 'tensorflow-datasets', 'numpy')
  }


_HEAD = (
  '| case | way | examples | MB | s | k examples/s | x stock | process s'
  ' | x stock | peak MiB | |'
)


def _line(row: Row) -> str:
  """Returns a row as a line of a Markdown table."""

  def times(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}'

  rate = row.num_examples / row.seconds / 1000
  cells = (
    row.case,
    row.way,
    f'{row.num_examples:,}',
    f'{row.num_bytes / 1e6:,.1f}',
    f'{row.seconds:.2f}',
    f'{rate:,.1f}',
    times(row.times_stock),
    f'{row.process_seconds:.2f}',
    times(row.process_times_stock),
    f'{row.peak_mib:,.0f}',
    row.note,
  )
  return f'| {" | ".join(cells)} |'


def main(argv: Sequence[str] | None = None) -> int:
  """Measures the requested cases and prints the table."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument(
    'cases',
    nargs='*',
    metavar='CASE',
    help='encoding, 2-FKd, array_record, reduced, 3-EElKm, 4-EcFKdK49, family'
    ' (default: all)',
  )
  parser.add_argument(
    '--short',
    action='store_true',
    help=f'use one example in {_SHORT_SCALE}, one repetition, and few stock'
    ' builds; a check of this program, whose times mean nothing',
  )
  parser.add_argument(
    '--full',
    action='store_true',
    help='let the stock builder write the largest subset whole, instead of'
    f' {_TRUNCATED:,} examples of each split with the time scaled',
  )
  parser.add_argument(
    '--repetitions', type=int, default=3, metavar='N', help='default: 3'
  )
  parser.add_argument(
    '--scratch',
    type=pathlib.Path,
    metavar='FOLDER',
    help='folder for all files, where stand-ins are kept and used again'
    ' (default: a temporary folder)',
  )
  parser.add_argument('--json', type=pathlib.Path, metavar='FILE')
  args = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as temporary:
    bench = Bench(
      scratch=(args.scratch or pathlib.Path(temporary)).resolve(),
      scale=_SHORT_SCALE if args.short else 1,
      repetitions=1 if args.short else args.repetitions,
      limit=None if args.full else _TRUNCATED,
    )
    bench.scratch.mkdir(parents=True, exist_ok=True)
    cases = _cases(bench, short=args.short)
    if unknown := set(args.cases) - set(cases):
      parser.error(f'no such case: {", ".join(sorted(unknown))}')
    bench.run(
      _make,
      use_stand_ins=False,
      folder=bench.folder,
      scale=bench.scale,
      real_files=None if args.short else os.environ.get('CMNIST_ORIGIN_FILES'),
    )
    machine = _machine()
    print(json.dumps(machine))
    if not pathlib.Path(bench.cache_dir).exists():
      bench.run(_cache, folder=bench.folder, kind='encoded')
    print(f'{_HEAD}\n|---|---|{"--:|" * 8}---|', flush=True)
    rows = []
    for name in args.cases or cases:
      for row in cases[name]:
        rows.append(dataclasses.asdict(row))
        print(_line(row), flush=True)
  if args.json:
    measured = {'machine': machine, 'rows': rows}
    args.json.write_text(json.dumps(measured, indent=1), 'utf-8')
  return 0


if __name__ == '__main__':
  if _TASK in os.environ:
    _work(json.loads(os.environ[_TASK]))
  else:
    sys.exit(main())
elif __name__ == '__mp_main__' and (
  _stand_ins := json.loads(os.environ[_TASK])['stand_ins']
):
  # This is a process that `cmnist build --jobs` has started.
  stand_ins.use(pathlib.Path(_stand_ins))
