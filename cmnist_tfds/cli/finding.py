# SPDX-License-Identifier: Apache-2.0
"""The subset that a command names, as it is on disk."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cmnist_tfds import load, subsets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.subsets import Subset

# What needs TFDS is imported where it is used: `cmnist list` answers at once.
if TYPE_CHECKING:
  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder


def get_builder(
  subset: Subset, args: argparse.Namespace, **kwargs: Any
) -> CmnistBuilder:
  """Returns the TFDS builder of a subset."""
  return load.get_builder(
    subset.name, data_dir=args.data_dir, sample=args.sample, **kwargs
  )


def is_prepared(builder: CmnistBuilder) -> bool:
  """Returns whether what a builder builds is there."""
  return builder.data_path.exists() and builder.is_prepared()


def how_to_build(builder: CmnistBuilder) -> str:
  """Returns the command that prepares a subset."""
  sample = ' --sample' if builder.name == load.SAMPLE else ''
  where = f' --data_dir {builder.data_dir_root}'
  return f'cmnist build {builder.subset.name}{sample}{where}'


def readable(args: argparse.Namespace) -> load.Readable:
  """Returns a subset that must be prepared, or else its sources encoded."""
  found = load.find_readable(
    args.name, data_dir=args.data_dir, sample=args.sample
  )
  if found is None:
    raise _not_prepared(subsets.subset(args.name), args)
  return found


def prepared(subset: Subset, args: argparse.Namespace) -> load.Prepared:
  """Returns a subset that must be prepared."""
  found = load.find(subset.name, data_dir=args.data_dir, sample=args.sample)
  if found is None:
    raise _not_prepared(subset, args)
  return found


def _not_prepared(subset: Subset, args: argparse.Namespace) -> PreparationError:
  builder = get_builder(subset, args)
  return PreparationError(
    f'{builder.info.full_name} is not prepared in {builder.data_dir_root}.'
    f' Run: {how_to_build(builder)}'
  )
