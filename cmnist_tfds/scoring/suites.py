# SPDX-License-Identifier: Apache-2.0
"""Suites of subsets, which a method is run on; `suites.toml` declares them."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cmnist_tfds import sources, subsets
from cmnist_tfds.load.open_subset import is_here
from cmnist_tfds.sources import registry
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PreparationError, SubsetNameError
from cmnist_tfds.system.paths import PathLike


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
  """What is declared of a suite.

  Attributes:
    version: It is raised when members change.
    about: What the suite is for.
    members: The reason for each member, by its name; none if a rule finds them.
    rule: The reason for every member that the rule finds.
    sizes: The members are taken with so many training images of each class; with
      all if there is none.
  """

  version: int
  about: str
  members: Mapping[str, str] = {}
  rule: str = ''
  sizes: tuple[int, ...] = ()


@functools.cache
def suites() -> dict[str, Suite]:
  """Returns the suites by name."""
  text = pathlib.Path(__file__).with_name('suites.toml').read_text('utf-8')
  return msgspec.toml.decode(text, type=dict[str, Suite])


def members(
  name: str, data_dir: PathLike | None = None, sample: bool = False
) -> dict[Subset, str]:
  """Returns the subsets of a suite, in order, each with its reason.

  Args:
    name: The name of the suite.
    data_dir: Where prepared datasets and files are, for 'available'; TFDS's
      default if None.
    sample: Whether the files are those of the sample, all of which are here.

  Raises:
    SubsetNameError: If there is no such suite.
    PreparationError: If the files of no subset are here.
  """
  if name not in suites():
    raise SubsetNameError(
      f'There is no suite {name!r}. The suites are {", ".join(suites())}.'
    )
  suite = suites()[name]
  found = {subsets.subset(member): why for member, why in suite.members.items()}
  if name == 'paper':
    found = dict.fromkeys(subsets.published(), suite.rule)
  elif name == 'available':
    known = (*sources.SOURCES, *registry.registry().extensions)
    single = [subsets.combine(s) for s in known if 'train' in s.splits]
    every = (*single, *subsets.published())
    found = {s: suite.rule for s in every if sample or is_here(s, data_dir)}
  if not found:
    raise PreparationError(
      'This machine has the files of no subset. Name their folder with --data_dir,'
      ' or fetch some with cmnist mirror.'
    )
  forms = (
    (reduced([subset], suite.sizes), why) for subset, why in found.items()
  )
  return {form: why for several, why in forms for form in several}


def reduced(full: Iterable[Subset], sizes: Sequence[int]) -> list[Subset]:
  """Returns the forms of subsets with some sizes; themselves if there is none."""
  if not sizes:
    return [*full]
  return [subsets.reduce(subset.full, n) for subset in full for n in sizes]
