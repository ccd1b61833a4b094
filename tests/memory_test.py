# SPDX-License-Identifier: Apache-2.0
"""A lack of memory is reported before anything is allocated."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import errors
from cmnist_tfds.load import memory


@pytest.fixture
def system(tmp_path, monkeypatch):
  """Files in which the system tells of 8,000 KiB, without a limit below."""
  (tmp_path / 'meminfo').write_text(
    'MemTotal:  9000 kB\nMemAvailable:  8000 kB\n'
  )
  monkeypatch.setattr(memory, '_MEMINFO', tmp_path / 'meminfo')
  monkeypatch.setattr(memory, '_CGROUP', tmp_path)
  monkeypatch.setattr(memory, '_STATM', tmp_path / 'statm')
  return tmp_path


def write_cgroup(folder, limit, used, cached):
  (folder / 'memory.max').write_text(f'{limit}\n')
  (folder / 'memory.current').write_text(f'{used}\n')
  (folder / 'memory.stat').write_text(f'anon 1\ninactive_file {cached}\n')


def test_of_the_system(system):
  assert memory.available() == 8000 * 1024


@pytest.mark.parametrize(
  ('limit', 'used', 'cached', 'available'),
  [
    ('max', 10**6, 0, 8000 * 1024),
    (10**6, 400_000, 0, 600_000),
    (10**6, 400_000, 300_000, 900_000),
    (10**6, 2 * 10**6, 0, 0),
    (10**9, 0, 0, 8000 * 1024),
  ],
)
def test_of_a_container(system, limit, used, cached, available):
  write_cgroup(system, limit, used, cached)
  assert memory.available() == available


def test_unknown_where_no_file_tells(tmp_path, monkeypatch):
  monkeypatch.setattr(memory, '_MEMINFO', tmp_path / 'meminfo')
  monkeypatch.setattr(memory, '_STATM', tmp_path / 'statm')
  assert memory.available() is None
  memory.check(10**18, 'Dreams')


def test_too_much_is_refused(system):
  memory.check(8000 * 1024, 'Arrays')
  with pytest.raises(MemoryError, match=r'Arrays need 8\.2 MB .* 8\.2 MB are'):
    memory.check(8000 * 1024 + 1, 'Arrays')


def test_load_data_refuses(system, sample_dir):
  write_cgroup(system, 2000, 1000, 0)
  with pytest.raises(errors.MemoryShortageError, match='of CMNIST-X-12 need'):
    cmnist_tfds.load_data('X-12', data_dir=sample_dir, sample=True)


def test_a_limit_of_the_process_counts(sample_dir):
  """`ulimit -v` as clusters set it."""
  code = f"""
import resource, sys
import cmnist_tfds
from cmnist_tfds.load import memory
def load():
  return cmnist_tfds.load_data('X-12', data_dir={str(sample_dir)!r}, sample=True)
load()
size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 1_000_000,) * 2)
assert memory.available() <= 1_000_000
try:
  load()
except cmnist_tfds.errors.MemoryShortageError as error:
  print(error)
"""
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert '1,440 examples of CMNIST-X-12 need 1.' in done.stdout


def test_memory_that_the_system_refuses_is_told(sample_dir, monkeypatch):
  def refuse(*args, **kwargs):
    raise MemoryError

  monkeypatch.setattr(np, 'empty', refuse)
  with pytest.raises(
    errors.MemoryShortageError,
    match=r'1,440 examples of CMNIST-X-12 need \d\.\d MB .* grants less',
  ):
    cmnist_tfds.load_data('X-12', data_dir=sample_dir, sample=True)
