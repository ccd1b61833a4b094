# SPDX-License-Identifier: Apache-2.0
"""Computes items one ahead of their use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')


def prefetch(
  function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
  """Maps a function over items, in order, one ahead of the one in use.

  Args:
    function: Called in another thread, for one item at a time.
    items: The items.

  Yields:
    What the function returns for each.
  """
  with futures.ThreadPoolExecutor(1) as worker:
    running = None
    for item in items:
      ready, running = running, worker.submit(function, item)
      if ready:
        yield ready.result()
    if running:
      yield running.result()
