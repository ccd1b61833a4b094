# SPDX-License-Identifier: Apache-2.0
"""Computes each item while the one before it is in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')


def prefetch(
  function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
  """Maps a function over items in order, computing one result ahead.

  Args:
    function: Called in another thread, with one item at a time.
    items: The items.

  Yields:
    The result for each item.
  """
  with futures.ThreadPoolExecutor(1) as worker:
    running = None
    for item in items:
      ready, running = running, worker.submit(function, item)
      if ready:
        yield ready.result()
    if running:
      yield running.result()
