# SPDX-License-Identifier: Apache-2.0
"""What the standard streams can do.

Services and programs without a console have no streams: they are `None`.
Notebooks, loggers and test runners replace them by objects that lack some of
the methods and attributes of files. A stream may be closed, its disk may be
full, and its encoding may lack characters.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OutputError


def is_terminal(stream: Any) -> bool:
  """Returns whether a stream is known to be a terminal.

  Args:
    stream: A standard stream: a file, any object in its place, or None.
  """
  try:
    return bool(stream.isatty())
  except Exception:  # Whatever the object raises, it is no working terminal.
    return False


def shows_progress() -> bool:
  """Returns whether progress bars can be shown, by a terminal or a notebook."""
  return is_terminal(sys.stderr) or _is_notebook()


def progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
  """Returns a progress bar of tqdm, which is quiet where nobody sees it.

  Args:
    iterable: What to iterate over, if the bar counts its items.
    **options: Other arguments of `tqdm.tqdm`.
  """
  import tqdm

  return tqdm.tqdm(iterable, disable=not shows_progress(), **options)


def passes_log(record: logging.LogRecord) -> bool:
  """Filters records out that `logging` would fail to write.

  Without handlers, `logging` writes warnings to standard error. It raises an
  error if that is closed.

  Args:
    record: A record of this package's logger.

  Returns:
    Whether the record can be handled.
  """
  if logging.getLogger(record.name).hasHandlers():
    return True
  try:
    sys.stderr.write('')
  except Exception:  # An object in place of a file may raise any.
    return False
  return True


def _is_notebook() -> bool:
  get_shell = getattr(sys.modules.get('IPython'), 'get_ipython', lambda: None)
  return 'IPKernelApp' in getattr(get_shell(), 'config', ())


class SafeStream:
  """A standard stream that takes any text, and fails clearly or not at all.

  Characters that the stream cannot encode are written as backslash escapes. All
  other attributes are those of the stream.
  """

  def __init__(self, stream: Any, *, required: bool):
    """Wraps a stream.

    Args:
      stream: A standard stream: a file, any object in its place, or None.
      required: Whether a stream that cannot be written raises an error. If not,
        the text is lost, as nobody is there to read it.
    """
    self._stream = stream
    self._required = required

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)

  def write(self, text: str) -> int:
    """Writes a text; returns its length.

    Raises:
      BrokenPipeError: If a required stream is a pipe that nobody reads.
      OutputError: If a required stream cannot be written for another reason.
    """
    with self._failing_clearly():
      if self._stream is None:
        raise OSError(errno.EBADF, 'it is closed')
      try:
        self._stream.write(text)
      except UnicodeEncodeError:
        encoding = getattr(self._stream, 'encoding', None) or 'ascii'
        escaped = text.encode(encoding, 'backslashreplace')
        self._stream.write(escaped.decode(encoding))
    return len(text)

  def flush(self) -> None:
    """Writes what is buffered; raises the same errors as `write`."""
    with self._failing_clearly():
      if hasattr(self._stream, 'flush'):
        self._stream.flush()

  @contextlib.contextmanager
  def _failing_clearly(self) -> Iterator[None]:
    try:
      yield
    except Exception as error:  # An object in place of a file may raise any.
      self._discard_buffer()
      if not self._required:
        return
      if isinstance(error, BrokenPipeError):
        raise
      with disk_errors(
        'standard output',
        error=OutputError,
        alternative='send the output to another place',
      ):
        raise error if isinstance(error, OSError) else OSError(error) from error

  def _discard_buffer(self) -> None:
    # Python would try to write it again at exit, and report another failure.
    if isinstance(self._stream, io.TextIOWrapper):
      with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


@contextlib.contextmanager
def command_streams() -> Iterator[None]:
  """Makes the standard streams those of a command: see `SafeStream`.

  Standard output is required, standard error is not.

  Yields:
    Nothing.
  """
  _occupy_descriptors()
  out = SafeStream(sys.stdout, required=True)
  err = SafeStream(sys.stderr, required=False)
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    yield


def _occupy_descriptors() -> None:
  """Opens the null device in place of standard descriptors that are closed.

  Otherwise the next file to be opened would get the descriptor, and what C
  libraries print to it would be written into that file.
  """
  for number in range(3):
    try:
      os.fstat(number)
    except OSError:
      # It gets the lowest number that is free. Child processes need it too.
      os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
