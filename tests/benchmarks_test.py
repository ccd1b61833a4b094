# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run and report what their README lists."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

_BENCHMARKS = pathlib.Path(__file__).resolve().parent.parent / 'benchmarks'
_BENCHMARK = _BENCHMARKS / 'build.py'


def test_short_form_measures_every_case(tmp_path):
  output = tmp_path / 'build.json'
  done = subprocess.run(
    [sys.executable, str(_BENCHMARK), '--short', '--json', str(output)],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  measured = json.loads(output.read_text())
  assert {'date', 'cpu', 'cores', 'tensorflow'} <= measured['machine'].keys()
  rows = {(row['case'], row['way']): row for row in measured['rows']}
  assert {case for case, _ in rows} == {
    'all sources',
    '2-FKd',
    '2-FKd as array_record',
    '2-FKd-r-10',
    '3-EElKm',
    '4-EcFKdK49',
    '2 subsets',
    '2 reduced ones beside them',
  }
  assert {way for case, way in rows if case == '2-FKd'} == {
    'stock',
    'cmnist',
    'cmnist, first',
    'framing to /dev/null',
    'raw write',
    'inflating the sources',
  }
  assert {way for case, way in rows if case == 'all sources'} == {
    'raw pixels',
    'encoded images',
  }
  # The table has one line per row below its head.
  assert done.stdout.count('\n| ') == len(rows) + 1
  for row in rows.values():
    assert row['num_examples'] > 0
    assert row['num_bytes'] > 0
    assert 0 < row['seconds'] < row['process_seconds']
    assert row['peak_mib'] > 0
  # All ways have the same 20 classes of 30 train and 5 test examples.
  assert {
    row['num_examples'] for (case, _), row in rows.items() if case == '2-FKd'
  } == {20 * (30 + 5)}
  assert rows['2-FKd', 'cmnist']['times_stock'] > 0


def test_unknown_case_is_refused():
  done = subprocess.run(
    [sys.executable, str(_BENCHMARK), 'nonsense'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  assert 'no such case: nonsense' in done.stderr


def test_every_way_to_read_is_measured(sample_dir):
  done = subprocess.run(
    [
      *(sys.executable, str(_BENCHMARKS / 'read.py'), '--name', 'X-12'),
      *('--sample', '--data_dir', str(sample_dir), '--rounds', '1'),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  head, *lines = done.stdout.splitlines()
  assert head.startswith('X-12, best of 1')
  rows = [line.split('|')[1].strip() for line in lines if line.startswith('|')]
  assert set(rows) >= {
    'tfds.load(...).batch(1024)',
    'tfds.load(batch_size=-1)',
    'numpy.load, both splits',
    'load_data, both splits',
    'load_data, both splits, from shards with an empty cache',
    'load_data, both splits, from shards the second time',
    'as_batches, first epoch',
    'as_batches, later epochs',
    'process, to first batch',
  }


def test_every_way_to_score_is_measured(tmp_path):
  done = subprocess.run(
    [
      *(sys.executable, str(_BENCHMARKS / 'evaluate.py'), '--sample'),
      *('--data_dir', str(tmp_path)),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  _, _, *lines = done.stdout.splitlines()
  assert [line.split('|')[1].strip() for line in lines][:4] == [
    '175,000 predictions written, read and scored',
    'neighbors: 2-FKd-r-100',
    'neighbors: 2-FKd',
    'neighbors: 2-FKd, scikit-learn',
  ]
  assert 'audit of Kd' in done.stdout


def test_every_step_of_a_large_source_is_measured(tmp_path):
  done = subprocess.run(
    [
      *(sys.executable, str(_BENCHMARKS / 'large_source.py'), '2000'),
      *('--scratch', str(tmp_path)),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  head, _, *rows = done.stdout.splitlines()
  columns = head.strip('| ').split(' | ')
  assert len(rows) == 3
  for row, step, images in zip(
    rows, ('encode', 'build', 'read'), ('2,000', '2,000', '1,000'), strict=True
  ):
    found = dict(zip(columns, row.strip('| ').split(' | '), strict=True))
    assert (found['images'], found['step']) == (images, step)
    anonymous, peak = (
      int(found[name].replace(',', ''))
      for name in ('peak anonymous MiB', 'peak MiB')
    )
    assert 0 < anonymous < peak
