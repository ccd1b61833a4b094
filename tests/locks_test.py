# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import threading

import pytest

from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.locks import lock

_not_as_root = pytest.mark.skipif(
  os.geteuid() == 0, reason='the superuser may write to every folder'
)


def test_one_thread_holds_a_lock_at_a_time(tmp_path):
  path = tmp_path / 'made' / 'the.lock'
  holders = []
  most = []

  def hold():
    for _ in range(20):
      with lock(path):
        holders.append(threading.get_ident())
        most.append(len(holders))
        holders.pop()

  threads = [threading.Thread(target=hold) for _ in range(3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert most == [1] * 60


def test_a_lock_is_released_after_an_error(tmp_path):
  for _ in range(2):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / 'the.lock'):
      raise ZeroDivisionError


def test_other_users_may_take_the_lock_of_a_shared_folder(tmp_path):
  old = os.umask(0o077)
  try:
    with lock(tmp_path / 'the.lock'):
      pass
  finally:
    os.umask(old)
  assert stat.S_IMODE((tmp_path / 'the.lock').stat().st_mode) == 0o666


@pytest.mark.parametrize(
  'number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]
)
def test_a_file_system_without_locks_is_told_once(
  number, tmp_path, monkeypatch, caplog
):
  def refuse(file, operation):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(fcntl, 'flock', refuse)
  ran = 0
  with caplog.at_level(logging.WARNING, 'cmnist_tfds'):
    for _ in range(2):
      with lock(tmp_path / 'the.lock'):
        ran += 1
  assert ran == 2
  (message,) = caplog.messages
  assert message.startswith(f'The file system of {tmp_path} has no locks.')


def test_another_error_of_the_lock_is_told(tmp_path, monkeypatch):
  def refuse(file, operation):
    raise OSError(errno.EIO, 'Input/output error')

  monkeypatch.setattr(fcntl, 'flock', refuse)
  with (
    pytest.raises(
      PreparationError, match=r'^Cannot lock \S+the\.lock: Input/output error\.'
    ),
    lock(tmp_path / 'the.lock'),
  ):
    pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
  (tmp_path / 'file').touch()
  with (
    pytest.raises(PreparationError) as raised,
    lock(tmp_path / 'file' / 'the.lock'),
  ):
    pass
  assert str(raised.value) == (
    f'Cannot make a lock file in {tmp_path}/file: File exists. Choose another'
    ' folder.'
  )


@_not_as_root
def test_a_folder_that_may_not_be_written_to_is_told(tmp_path):
  tmp_path.chmod(0o555)
  with (
    pytest.raises(PreparationError) as raised,
    lock(tmp_path / 'the.lock'),
  ):
    pass
  assert str(raised.value) == (
    f'Cannot make a lock file in {tmp_path}: Permission denied. Change its'
    ' permissions, or choose another folder.'
  )


@_not_as_root
def test_a_lock_of_somebody_else_is_told(tmp_path):
  (tmp_path / 'the.lock').touch(0o444)
  with (
    pytest.raises(PreparationError, match=r'^Cannot lock \S+/the\.lock: Perm'),
    lock(tmp_path / 'the.lock'),
  ):
    pass
