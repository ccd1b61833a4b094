# SPDX-License-Identifier: Apache-2.0
"""Signals that end a program: Ctrl-C, TERM and HUP."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


def exit_status(interrupted: KeyboardInterrupt) -> int:
  """Returns the exit status that shells know: 128 and the signal's number."""
  return 128 + int(interrupted.args[0] if interrupted.args else signal.SIGINT)


@contextlib.contextmanager
def terminations_interrupt() -> Iterator[None]:
  """Lets TERM and HUP interrupt the block as Ctrl-C does, so that it cleans up.

  A signal that is ignored, as by `nohup`, or handled, stays so. In any other
  thread than the main one, nothing changes.

  Yields:
    Nothing.
  """

  def interrupt(number: int, _: object) -> None:
    # Later ones must not disturb the cleaning up.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt(number)

  # Windows has no HUP.
  numbers = {signal.SIGTERM, getattr(signal, 'SIGHUP', signal.SIGTERM)}
  numbers = {n for n in numbers if signal.getsignal(n) is signal.SIG_DFL}
  if threading.current_thread() is not threading.main_thread():
    numbers.clear()
  try:
    for number in numbers:
      signal.signal(number, interrupt)
    yield
  finally:
    for number in numbers:
      signal.signal(number, signal.SIG_DFL)
