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

"""The subset that a command names, as it is on disk."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cmnist_tfds import read, subsets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.subsets import Subset

# What needs TFDS is imported where it is used: `cmnist list` answers at once.
if TYPE_CHECKING:
  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder


def builder_of(
  subset: Subset, args: argparse.Namespace, **kwargs: Any
) -> CmnistBuilder:
  """Returns the TFDS builder of a subset."""
  return read.builder_of(
    subset.name, data_dir=args.data_dir, sample=args.sample, **kwargs
  )


def is_prepared(builder: CmnistBuilder) -> bool:
  """Returns whether what a builder builds is there."""
  return builder.data_path.exists() and builder.is_prepared()


def how_to_build(builder: CmnistBuilder) -> str:
  """Returns the command that prepares a subset."""
  sample = ' --sample' if builder.name == read.SAMPLE else ''
  where = f' --data_dir {builder.data_dir_root}'
  return f'cmnist build {builder.subset.name}{sample}{where}'


def readable(args: argparse.Namespace) -> read.Readable:
  """Returns a subset that must be prepared, or else its sources encoded."""
  found = read.find_readable(
    args.name, data_dir=args.data_dir, sample=args.sample
  )
  if found is None:
    raise _not_prepared(subsets.subset(args.name), args)
  return found


def prepared(subset: Subset, args: argparse.Namespace) -> read.Prepared:
  """Returns a subset that must be prepared."""
  found = read.find(subset.name, data_dir=args.data_dir, sample=args.sample)
  if found is None:
    raise _not_prepared(subset, args)
  return found


def _not_prepared(subset: Subset, args: argparse.Namespace) -> PreparationError:
  builder = builder_of(subset, args)
  return PreparationError(
    f'{builder.info.full_name} is not prepared in {builder.data_dir_root}.'
    f' Run: {how_to_build(builder)}'
  )
