# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Work done ahead of its use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')


def map_ahead(
  function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
  """Maps a function over items, in order, one ahead of what is in use.

  Args:
    function: Is called in another thread, for one item at a time.
    items: The items.

  Yields:
    What the function returns of each.
  """
  with futures.ThreadPoolExecutor(1) as worker:
    running = None
    for item in items:
      ready, running = running, worker.submit(function, item)
      if ready:
        yield ready.result()
    if running:
      yield running.result()
