# SPDX-License-Identifier: Apache-2.0
"""Signals that end a process interrupt it, as Ctrl-C does."""

import signal

import pytest

from cmnist_tfds.system import interrupts


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGHUP'])
def test_handlers_are_put_back(name):
  number = getattr(signal, name)
  with (
    pytest.raises(KeyboardInterrupt) as raised,
    interrupts.terminations_interrupt(),
  ):
    try:
      signal.raise_signal(number)
    finally:  # A second one does not disturb the cleaning up.
      signal.raise_signal(number)
  assert interrupts.exit_status(raised.value) == 128 + number
  assert signal.getsignal(number) == signal.SIG_DFL


def test_what_the_user_does_with_a_signal_stays():
  received = []
  for handler in (signal.SIG_IGN, lambda *_: received.append(1)):
    previous = signal.signal(signal.SIGTERM, handler)
    try:
      with interrupts.terminations_interrupt():
        signal.raise_signal(signal.SIGTERM)
    finally:
      signal.signal(signal.SIGTERM, previous)
  assert received == [1]
