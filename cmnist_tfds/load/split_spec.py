# SPDX-License-Identifier: Apache-2.0
"""Reads the splits that `tfds.load` accepts, such as `train[:10%]`.

https://www.tensorflow.org/datasets/splits defines the grammar. This module does
not use TFDS, because importing TFDS takes longer than loading most subsets.
"""

from __future__ import annotations

import operator
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from cmnist_tfds.system.errors import SplitError, counted
from cmnist_tfds.system.streams import warn_once

# A boundary counts examples, percent of the split, or shards.
_BOUNDARY = r'(?:(-?\d[\d_]*(?:\.\d+)?)(%|shard)?)?'
_SPLIT = re.compile(
  rf'([\w-]+)(?:\[(?!:\]){_BOUNDARY}:{_BOUNDARY}\])?', re.ASCII
)
# `train[0shard]` is `train[0shard:1shard]`.
_ONE_SHARD = re.compile(r'\[(-?\d[\d_]*)shard\]', re.ASCII)
_ALL = 'all'

# The parts of the training set; `hold_out` says which examples they have.
VALIDATION = 'validation'
FIT = 'fit'
PARTS = (VALIDATION, FIT)


class Instruction(Protocol):
  """An instruction of TFDS.

  That is a `tfds.core.ReadInstruction`, a result of `tfds.even_splits` or of
  `tfds.split_for_jax_process`, or a sum of these.
  """

  def to_absolute(self, split_infos: Any, /) -> Any:
    """Returns the instruction in numbers of examples."""


Split: TypeAlias = str | Instruction

# A split; or a list, tuple or dictionary of such structures.
Splits: TypeAlias = 'Split | Sequence[Splits] | Mapping[Any, Splits]'

_EXAMPLES = 'train, train[:10%], train[5000:]+test, validation'


# Consecutive examples of a split: its name, the number of the first example, and
# that of the first one after them.
SplitRange: TypeAlias = tuple[str, int, int]


def map_splits(function: Callable[[Any], Any], splits: Any) -> Any:
  """Calls a function with each split of a structure.

  Args:
    function: The function.
    splits: A split, or lists, tuples and dictionaries of splits, nested at will.

  Returns:
    The results in the same structure.
  """
  if isinstance(splits, Mapping):
    return {key: map_splits(function, each) for key, each in splits.items()}
  if isinstance(splits, (list, tuple)):
    make = getattr(splits, '_make', type(splits))  # Of a named tuple.
    return make([map_splits(function, each) for each in splits])
  return function(splits)


def ranges(
  split: Split, shard_lengths: Mapping[str, Sequence[int]]
) -> list[SplitRange]:
  """Returns the examples that a split stands for.

  Args:
    split: An expression such as 'train', 'all', 'train[5000:]+test',
      'train[:10%]' or 'train[0shard]', or an instruction of TFDS.
    shard_lengths: For each split, the number of examples in each of its shards,
      in order. If the split may name a part of the training set, the parts are
      here too.

  Returns:
    The ranges in order, without empty ones.

  Raises:
    SplitError: If the split is none of these, is malformed, names an unknown
      split, or goes beyond the end of a split.
  """
  if isinstance(split, str):
    expression = str(split)  # `tfds.Split` is a subclass with its own repr.
    wholes = [name for name in shard_lengths if name not in PARTS]
    found = [
      _range(each, expression, shard_lengths)
      for summand in re.split(r'\s*\+\s*', expression.strip())
      for each in (wholes if summand == _ALL else [summand])
    ]
  elif hasattr(split, 'to_absolute'):
    found = _ranges_of_instruction(split, shard_lengths)
  else:
    raise SplitError(
      f'{split!r} is not a split. A split is a string in the notation of TFDS'
      f' ({_EXAMPLES}), a tfds.core.ReadInstruction or a result of'
      ' tfds.even_splits. load_data and as_batches also take lists, tuples and'
      ' dictionaries of splits.'
    )
  return [each for each in found if each[1] < each[2]]


def _ranges_of_instruction(
  instruction: Any, shard_lengths: Mapping[str, Sequence[int]]
) -> list[SplitRange]:
  """Returns the ranges that an instruction of TFDS stands for."""
  sizes = {
    name: types.SimpleNamespace(shard_lengths=n, num_examples=sum(n))
    for name, n in shard_lengths.items()
  }
  found = []
  try:
    for each in instruction.to_absolute(sizes):
      start = operator.index(each.from_ or 0)
      # An end of 0 is before all examples; no end is behind all.
      total = sizes[each.splitname].num_examples
      stop = total if each.to is None else operator.index(each.to)
      found.append((each.splitname, start, stop))
  except (ValueError, TypeError, AssertionError) as error:
    splits = ', '.join(f'{s} ({n.num_examples:,})' for s, n in sizes.items())
    raise SplitError(
      f'{instruction!r} does not fit the splits {splits}:'
      f' {" ".join(str(error).split())}'
    ) from error
  return found


def _range(
  summand: str, expression: str, shard_lengths: Mapping[str, Sequence[int]]
) -> SplitRange:
  """Returns the range that one summand of an expression stands for."""
  unreadable = SplitError(
    f'{expression!r} is not a split. Write splits as in TFDS: {_EXAMPLES}.'
  )
  match = _SPLIT.fullmatch(
    _ONE_SHARD.sub(lambda m: f'[{m[1]}shard:{int(m[1]) + 1}shard]', summand)
  )
  if match is None:
    raise unreadable
  split, first, first_unit, last, last_unit = match.groups()
  if split not in shard_lengths:
    known = ', '.join(dict.fromkeys([*shard_lengths, _ALL, *PARTS]))
    raise SplitError(
      f'There is no split {split!r} in {expression!r}. There are {known}, and'
      f' slices of them: {_EXAMPLES}.'
    )
  lengths = shard_lengths[split]
  total = sum(lengths)
  # As in TFDS, a unit on one side of the colon applies to both.
  unit = first_unit or last_unit
  try:
    start = _example(first or '0', unit, lengths, is_stop=False)
    stop = (
      total if last is None else _example(last, unit, lengths, is_stop=True)
    )
  except ValueError as error:
    raise unreadable from error
  if max(start, stop) > total or min(start, stop) < 0:
    raise SplitError(
      f'{expression!r} goes beyond {split}, which has {counted(total, "example")}'
      f' in {counted(len(lengths), "shard")}.'
    )
  return split, start, stop


def _example(
  boundary: str, unit: str | None, lengths: Sequence[int], *, is_stop: bool
) -> int:
  """Returns the number of the example at a boundary.

  It is negative if the boundary is before the first example.
  """
  total = sum(lengths)
  if unit == '%':
    if abs(float(boundary)) > 100:
      raise ValueError
    number = round(float(boundary) * total / 100.0)
    if number == 0 and float(boundary) < 0:
      # As in TFDS, [-1%:] is then all, and [:-1%] is nothing.
      warn_once(f'{boundary}% of {total:,} examples is 0, which is the start.')
  elif unit == 'shard':
    shard = int(boundary)
    # As in TFDS, a stop of no shards is behind all of them.
    number = sum(lengths[: shard + len(lengths) * (is_stop and shard <= 0)])
  else:
    number = int(boundary)
  return number + total if number < 0 else number
