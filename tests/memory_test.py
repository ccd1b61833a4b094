# SPDX-License-Identifier: Apache-2.0
"""A lack of memory is reported before anything is allocated."""

from __future__ import annotations

import pytest

import cmnist_tfds
from cmnist_tfds import errors, process_limits
from cmnist_tfds.load import memory


def leave(monkeypatch, num_bytes):
  """Lets the system have this many free bytes; None if it does not say."""
  monkeypatch.setattr(process_limits, 'free_memory', lambda: num_bytes)


def test_anything_fits_where_the_system_does_not_say(monkeypatch):
  leave(monkeypatch, None)
  memory.check(10**18, 'Dreams')


def test_too_much_is_refused(monkeypatch):
  leave(monkeypatch, 8000 * 1024)
  memory.check(8000 * 1024, 'Arrays')
  with pytest.raises(MemoryError, match=r'Arrays need .* 0\.0 GB are free'):
    memory.check(8000 * 1024 + 1, 'Arrays')


def test_load_data_refuses(monkeypatch, sample_dir):
  leave(monkeypatch, 1000)
  with pytest.raises(errors.MemoryShortageError, match='of CMNIST-X-12 need'):
    cmnist_tfds.load_data('X-12', data_dir=sample_dir, sample=True)
