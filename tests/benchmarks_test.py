# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run and report what their README lists."""

import json

import pytest
import running

pytestmark = pytest.mark.slow


def _run(program: str, *options: object) -> list[list[str]]:
  """Returns the cells of the rows that a benchmark prints."""
  printed = running.works(running.REPOSITORY / 'benchmarks' / program, *options)
  lines = [line for line in printed.splitlines() if line.startswith('| ')]
  return [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines]


def test_every_way_to_build_is_measured(tmp_path):
  output = tmp_path / 'build.json'
  table = _run('build.py', '--short', '--json', output)
  measured = json.loads(output.read_text('utf-8'))
  assert {'date', 'cpu', 'cores', 'tensorflow'} <= measured['machine'].keys()
  rows = {(row['case'], row['way']): row for row in measured['rows']}
  ways = {way for case, way in rows if case == '2-FKd'}
  assert {'stock', 'cmnist', 'cmnist, first', 'raw write'} <= ways
  assert len(table) == len(rows) + 1
  for row in rows.values():
    assert row['num_examples'] > 0
    assert 0 < row['seconds'] < row['process_seconds']
    assert row['peak_mib'] > 0
  assert rows['2-FKd', 'cmnist']['times_stock'] > 0


def test_every_way_to_read_is_measured(sample_dir):
  where = ('--sample', '--data_dir', sample_dir)
  rows = _run('read.py', '--name', 'X-12', *where, '--rounds', '1')
  assert {row[0] for row in rows} >= {
    *('tfds.load(...).batch(1024) of TFDS', 'numpy.load, both splits'),
    *('load_data, both splits', 'as_batches(1024), first epoch'),
    'process, to first batch',
  }


def test_every_way_to_score_is_measured(tmp_path):
  rows = _run('evaluate.py', '--sample', '--data_dir', tmp_path)
  measured = ' '.join(row[0] for row in rows)
  for word in ('predictions', 'neighbo', 'scikit-learn', 'audit'):
    assert word in measured


def test_comparisons_are_measured():
  *_, total = _run('compare.py', '--times', '4')
  wrong, *covered = (float(cell.rstrip('%')) for cell in total[1:])
  assert wrong < 15
  assert min(covered) > 85


def test_pairs_of_sources_are_measured(tmp_path):
  where = ('--sample', '--data_dir', tmp_path)
  rows = _run('out_of_distribution.py', 'F', 'Kd', *where)
  assert [row[:2] for row in rows[1:]] == [['F', 'Kd'], ['Kd', 'F']]
  assert all(0 <= float(cell) <= 1 for row in rows[1:] for cell in row[2:])


def test_every_step_of_a_large_source_is_measured(tmp_path):
  head, *rows = _run('large_source.py', '2000', '--scratch', tmp_path)
  steps = [dict(zip(head, row, strict=True)) for row in rows]
  assert [row['step'] for row in steps] == ['encode', 'build', 'read']
  for row in steps:
    names = ('peak anonymous MiB', 'peak MiB')
    anonymous, peak = (int(row[name].replace(',', '')) for name in names)
    assert 0 < anonymous < peak
