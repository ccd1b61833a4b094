# SPDX-License-Identifier: Apache-2.0
"""Objects that take the place of standard streams."""

from __future__ import annotations

import io


class _Tee:
  """What loggers and test runners put in place of a stream."""

  def __init__(self):
    self.text = ''

  def write(self, text):
    self.text += text


class _WithFlush(_Tee):
  def flush(self):
    pass


class _RaisingFileno(_WithFlush):
  encoding = 'utf-8'

  def isatty(self):
    return False

  def fileno(self):
    raise io.UnsupportedOperation('fileno')


class _RaisingIsatty(_WithFlush):
  def isatty(self):
    raise RuntimeError('there is no console')


class _NoneAsEncoding(_WithFlush):
  encoding = None

  def isatty(self):
    return False


class _RaisingWrite:
  def write(self, text):
    raise RuntimeError('the window is gone')

  def flush(self):
    raise RuntimeError('the window is gone')


def _closed():
  stream = io.StringIO()
  stream.close()
  return stream


# What makes each kind.
WRITABLE = {
  'a tee without flush': _Tee,
  'a tee without isatty': _WithFlush,
  'without fileno, as in notebooks': _RaisingFileno,
  'raising isatty': _RaisingIsatty,
  'without encoding': _NoneAsEncoding,
}
UNWRITABLE = {
  'none': lambda: None,
  'closed': _closed,
  'raising write': _RaisingWrite,
}
ALL = {**WRITABLE, **UNWRITABLE}
