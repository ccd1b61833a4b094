# SPDX-License-Identifier: Apache-2.0
"""What the standard streams can do.

Services and programs without a console have no streams: they are `None`.
Notebooks, loggers and test runners replace them by objects that lack some of
the methods and attributes of files. A stream may be closed, its disk may be
full, and its encoding may lack characters.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cmnist_tfds.system.errors import OutputError

# Whoever wants no warnings wants no progress bars.
LOG = logging.getLogger('cmnist_tfds')

# Work that takes less seconds shows no progress.
QUICK = 1


def is_terminal(stream: Any) -> bool:
  """Returns whether a stream is known to be a terminal.

  Args:
    stream: A standard stream: a file, any object in its place, or None.
  """
  # Whatever the object raises, it is no working terminal.
  with contextlib.suppress(Exception):
    return bool(stream.isatty())
  return False


@functools.cache
def warn_once(message: str) -> None:
  """Logs a warning, unless this process has logged the same before."""
  LOG.warning('%s', message)


def progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
  """Returns a progress bar of tqdm, which is quiet where nobody sees it.

  Args:
    iterable: What to iterate over, if the bar counts its items.
    **options: Other arguments of `tqdm.tqdm`.
  """
  import tqdm

  # A notebook shows it, too.
  seen = 'ipykernel' in sys.modules or is_terminal(sys.stderr)
  shown = seen and LOG.isEnabledFor(logging.WARNING)
  options = {'leave': False, 'delay': QUICK, 'disable': not shown, **options}
  return tqdm.tqdm(iterable, **options)


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
    encoding = getattr(self._stream, 'encoding', None) or 'utf-8'
    escaped = text.encode(encoding, 'backslashreplace').decode(encoding)
    self._call('write', escaped)
    return len(text)

  def flush(self) -> None:
    """Writes what is buffered; raises the same errors as `write`."""
    if hasattr(self._stream, 'flush'):
      self._call('flush')

  def _call(self, method: str, *args: str) -> None:
    try:
      getattr(self._stream, method)(*args)
    except Exception as error:  # An object in place of a file may raise any.
      # Python would try to write the rest at exit, and report that, too.
      with contextlib.suppress(Exception), open(os.devnull, 'wb') as null:
        os.dup2(null.fileno(), self._stream.fileno())
      if not self._required:
        return
      if isinstance(error, BrokenPipeError):
        raise
      reason = 'it is closed' if self._stream is None else error
      raise OutputError(
        f'Cannot write to standard output: {reason}. Send it to another place.'
      ) from error


@contextlib.contextmanager
def command_streams() -> Iterator[None]:
  """Makes the standard streams those of a command: see `SafeStream`.

  Standard output is required, standard error is not.

  Yields:
    Nothing.
  """
  # The next file to be opened would get the number of a descriptor that is
  # closed, and what C libraries print would be written into that file.
  for number in range(3):
    try:
      os.fstat(number)
    except OSError:
      # It gets the lowest number that is free. Child processes need it too.
      os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
  out = SafeStream(sys.stdout, required=True)
  err = SafeStream(sys.stderr, required=False)
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    yield
