# SPDX-License-Identifier: Apache-2.0
"""The limits at which the HTTP client gives up."""

from __future__ import annotations

import dataclasses
import math
import os

from cmnist_tfds.system.errors import OriginFileError

# Environment variables that hold the user's limits.
TIMEOUT_VARIABLE = 'CMNIST_TIMEOUT'
MIN_SPEED_VARIABLE = 'CMNIST_MIN_SPEED'


@dataclasses.dataclass(frozen=True)
class Limits:
  """The limits at which the client gives up.

  A file is published on at most five hosts. With the default limits the client
  gives up on five hosts that cannot be reached within 30 seconds. A host that
  sends 20 kB/s is slow and works: EMNIST's archive takes it eight hours.

  Attributes:
    connect: Seconds that a connection to one address of a host may take.
    silence: Seconds for which a host may send nothing. They include the time to
      look up its address, to connect to it and to follow its redirects.
    attempts: Number of attempts at a URL whose server answers but does not send
      the whole file.
    pause: Seconds between attempts.
    slowest: Bytes a second that a host must send on average, over each `window`
      and over the whole file. A file may take three windows more than its size
      at this rate, all attempts together.
    window: Seconds over which the average is taken.
    largest: Bytes that a file of unknown size may have.
  """

  connect: float = 5.0
  silence: float = 30.0
  attempts: int = 3
  pause: float = 0.5
  slowest: float = 10_000.0
  window: float = 30.0
  largest: int = 1 << 28


def of_user(
  timeout: float | None = None, min_speed: float | None = None
) -> Limits:
  """Returns the user's limits.

  Args:
    timeout: Seconds that a host may take to be reached, to answer, or to send
      the bytes that `min_speed` asks of it. If None, the environment variable
      CMNIST_TIMEOUT holds them.
    min_speed: Bytes a second that a host must send. If None, the environment
      variable CMNIST_MIN_SPEED holds them.

  Returns:
    The limits, with the defaults where the user has set nothing.

  Raises:
    OriginFileError: If a variable does not hold a number above 0.
  """
  timeout = timeout or _number(TIMEOUT_VARIABLE)
  min_speed = min_speed or _number(MIN_SPEED_VARIABLE)
  limits = Limits()
  if timeout:
    limits = dataclasses.replace(
      limits, connect=timeout, silence=timeout, window=timeout
    )
  if min_speed:
    limits = dataclasses.replace(limits, slowest=min_speed)
  return limits


def _number(variable: str) -> float | None:
  """Returns the number in a variable, None if it is not set or empty."""
  text = os.environ.get(variable)
  if not text:
    return None
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  # A system takes no longer time-out than some centuries.
  if not 0 < number < 1e9:
    raise OriginFileError(
      f'{variable} is {text!r}: expected a number above 0, such as 60. Correct'
      ' it or unset it'
    )
  return number
