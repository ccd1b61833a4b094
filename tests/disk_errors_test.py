# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os

import pytest

from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError, PreparationError


def _raise(number):
  raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(
  ('number', 'told'),
  [
    (
      errno.ENOSPC,
      'No space left on device. Free space on that disk, or choose another'
      ' folder.',
    ),
    (
      errno.EACCES,
      'Permission denied. Change its permissions, or choose another folder.',
    ),
    (errno.EROFS, 'Read-only file system. Choose another folder.'),
  ],
)
def test_the_remedy_fits_the_reason(number, told):
  with pytest.raises(PreparationError) as raised, disk_errors('/data'):
    _raise(number)
  assert str(raised.value) == f'Cannot write to /data: {told}'
  assert isinstance(raised.value.__cause__, OSError)


def test_callers_choose_the_words_and_the_class():
  with (
    pytest.raises(OriginFileError) as raised,
    disk_errors('/x', 'read', OriginFileError, 'set CMNIST_CACHE_DIR'),
  ):
    _raise(errno.ENOSPC)
  assert str(raised.value) == (
    'Cannot read /x: No space left on device. Free space on that disk, or set'
    ' CMNIST_CACHE_DIR.'
  )


def test_an_error_without_a_number_is_told_by_its_text():
  with (
    pytest.raises(PreparationError, match=r'^Cannot write to /x: odd\. Choose'),
    disk_errors('/x'),
  ):
    raise OSError('odd')


def test_other_errors_pass():
  with pytest.raises(ValueError), disk_errors('/x'):
    raise ValueError
