# SPDX-License-Identifier: Apache-2.0
"""A lack of memory is reported before anything is allocated."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds.load import memory
from cmnist_tfds.system import errors, process_limits


def leave(monkeypatch, num_bytes):
  """Lets the system have this many free bytes; None if it does not say."""
  monkeypatch.setattr(process_limits, 'free_memory', lambda: num_bytes)


def test_anything_fits_where_the_system_does_not_say(monkeypatch):
  leave(monkeypatch, None)
  memory.check(10**18, 'Dreams')


def test_too_much_is_refused(monkeypatch):
  leave(monkeypatch, 8000 * 1024)
  memory.check(8000 * 1024, 'Arrays')
  with pytest.raises(MemoryError, match=r'Arrays need 8\.2 MB .* 8\.2 MB are'):
    memory.check(8000 * 1024 + 1, 'Arrays')


def test_load_data_refuses(monkeypatch, sample_dir):
  leave(monkeypatch, 1000)
  with pytest.raises(errors.MemoryShortageError, match='of CMNIST-X-12 need'):
    cmnist_tfds.load_data('X-12', data_dir=sample_dir, sample=True)


def test_a_limit_of_the_process_counts(sample_dir):
  """`ulimit -v` as clusters set it."""
  code = f"""
import resource, sys
import cmnist_tfds
from cmnist_tfds.system import process_limits
def load():
  return cmnist_tfds.load_data('X-12', data_dir={str(sample_dir)!r}, sample=True)
load()
size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 1_000_000,) * 2)
assert process_limits.free_memory() <= 1_000_000
try:
  load()
except cmnist_tfds.system.errors.MemoryShortageError as error:
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
