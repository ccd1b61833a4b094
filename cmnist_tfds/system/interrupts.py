# SPDX-License-Identifier: Apache-2.0
"""Signals that end a program: Ctrl-C, TERM and HUP.

All of them raise `KeyboardInterrupt`, so that a program cleans up behind
itself, whoever ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Windows has no HUP.
_TERMINATING = tuple(
  getattr(signal, name)
  for name in ('SIGTERM', 'SIGHUP')
  if hasattr(signal, name)
)
_INTERRUPTING = (signal.SIGINT, *_TERMINATING)

# Seconds after which a signal that came at a bad moment comes again.
_SOON = 0.01


def exit_status(interrupted: KeyboardInterrupt) -> int:
  """Returns the exit status that shells know: 128 and the signal's number."""
  number = interrupted.args[0] if interrupted.args else signal.SIGINT
  return 128 + int(number)


@contextlib.contextmanager
def terminations_interrupt() -> Iterator[None]:
  """Lets TERM and HUP interrupt the block as Ctrl-C does.

  A signal that the program was told to ignore, as by `nohup`, stays ignored.

  Yields:
    Nothing.
  """
  interrupted = False

  def interrupt(number: int, frame: types.FrameType | None) -> None:
    nonlocal interrupted
    # Later ones must not disturb the cleaning up.
    if interrupted:
      return
    if _is_finalizing(frame):
      # Python ignores what a finalizer raises, so the signal comes again.
      threading.Timer(_SOON, os.kill, [os.getpid(), number]).start()
      return
    interrupted = True
    raise KeyboardInterrupt(number)

  with handling(_TERMINATING, interrupt, only_default=True):
    yield


def _is_finalizing(frame: types.FrameType | None) -> bool:
  """Returns whether a frame belongs to the finalizer of an object."""
  while frame is not None:
    if frame.f_code.co_name == '__del__':
      return True
    frame = frame.f_back
  return False


@contextlib.contextmanager
def deferred() -> Iterator[None]:
  """Defers Ctrl-C, TERM and HUP to the end of the block.

  Yields:
    Nothing.
  """
  received: list[int] = []
  with handling(_INTERRUPTING, lambda number, _: received.append(number)):
    yield
  if received:
    signal.raise_signal(received[0])


@contextlib.contextmanager
def handling(
  signals: Sequence[signal.Signals],
  handler: Callable[[int, Any], object] | signal.Handlers,
  *,
  only_default: bool = False,
) -> Iterator[None]:
  """Handles signals in the block, except those that are ignored.

  In any other thread than the main one, the block runs with the handlers as
  they are.

  Args:
    signals: The signals.
    handler: What `signal.signal` takes.
    only_default: Whether to leave signals alone that have a handler.

  Yields:
    Nothing.
  """
  previous = {}
  if threading.current_thread() is threading.main_thread():
    previous = {
      number: current
      for number in signals
      if (current := signal.getsignal(number)) is not signal.SIG_IGN
      and not (only_default and current is not signal.SIG_DFL)
    }
  try:
    for number in previous:
      signal.signal(number, handler)
    yield
  finally:
    for number, current in previous.items():
      # None stands for a handler that was not set by Python.
      signal.signal(number, signal.SIG_DFL if current is None else current)
