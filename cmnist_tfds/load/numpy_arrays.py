# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as NumPy arrays, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.load.draws import class_ranks
from cmnist_tfds.load.open_subset import Opened, Where, open_named
from cmnist_tfds.load.split_spec import Split, Splits, map_splits
from cmnist_tfds.load.split_view import COLUMN_NAMES, SplitView, check_known
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.system.errors import SplitError

if TYPE_CHECKING:
  from typing_extensions import Unpack

Arrays: TypeAlias = tuple[np.ndarray, ...]


class _Options(Where, total=False):
  features: Sequence[str]
  sources: Sequence[str] | None
  classes: Sequence[int | str] | None


@overload
def load_data(
  name: str, *, split: None = None, **options: Unpack[_Options]
) -> tuple[Arrays, Arrays]: ...
@overload
def load_data(
  name: str, *, split: Split, **options: Unpack[_Options]
) -> Arrays: ...
@overload
def load_data(
  name: str, *, split: Splits, **options: Unpack[_Options]
) -> Any: ...
def load_data(
  name: str,
  *,
  split: Splits | None = None,
  features: Sequence[str] = ('image', 'label'),
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  draw: int = 0,
  sources: Sequence[str] | None = None,
  classes: Sequence[int | str] | None = None,
) -> Any:
  """Returns a subset as arrays, in the form that `keras.datasets` uses.

      (x_train, y_train), (x_test, y_test) = load_data('2-FKd')
      x, y = load_data('2-FKd', split='train[:10%]')
      (x, y), (x_val, y_val) = load_data('2-FKd', split=['fit', 'validation'])

  The subset is read from the cache. What the cache lacks enters it first: from
  the shards of a prepared dataset, else from origin files, which are fetched
  and verified.

  Args:
    name: Name of a subset.
    split: What `tfds.load` accepts: a split such as 'train', 'train[5000:]+test'
      or 'all', a `tfds.core.ReadInstruction`, a result of `tfds.even_splits`,
      or lists, tuples and dictionaries of these. Train and test if None.
      'validation' is a tenth of the training set, held out by class and, where
      they are known, by writers; 'fit' is the rest. `load.hold_out` says how.
    features: The features to return, any of
      'image', uint8 (n, 28, 28);
      'label', int64 (n,);
      'class_name', str (n,), the names of the labels;
      'source', int64 (n,), the number of the source in the subset;
      'source_label', int64 (n,), the raw label in the files of the source;
      'row', int64 (n,), the row of the image in the source's files of its split,
      from 0; -1 where only the shards of a prepared dataset are known;
      'writer', int64 (n,), the number of its writer in the source, as in the
      training set of Kannada-MNIST; -1 where writers are not known.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to load the synthetic sample instead of CMNIST.
    draw: For a reduced subset, the number of its training set: 0 for the
      published one, the first N examples of each class in the files; j, from 1,
      for the j-th N examples of each class in the order of the prepared
      training set of the full subset. Draws from 1 on have no example in common.
    sources: Returns only the examples of sources with these keys, such as
      ['F']; of all if None. Labels stay those of the subset.
    classes: Returns only the examples of these classes, which are labels or
      class names; of all if None.

  Returns:
    A tuple of the features, in the requested order. Examples are in the order
    of the prepared dataset. For a list, tuple or dictionary of splits, such
    tuples in the same structure. Without `split`, one for train and one for
    test.

  Raises:
    SubsetNameError: If there is no such subset.
    SplitError: If there is no such split or draw, or it has no examples of the
      sources and classes.
    OriginFileError: If an origin file is needed and is missing or wrong.
    PreparationError: If a shard is needed and is missing or damaged.
    MemoryError: If the arrays do not fit into memory.
    ValueError: If there is no such feature, source or class.
  """
  check_known('features', features, COLUMN_NAMES)
  opened = open_named(name, data_dir=data_dir, sample=sample, draw=draw)
  of = opened.subset.classes
  is_taken = _are_taken('sources', sources, [(c.source.key,) for c in of])
  is_taken &= _are_taken('classes', classes, [(c.label, c.name) for c in of])

  def take(spec: Split) -> SplitView:
    view = opened.split(spec) if split is None else opened.part(spec)
    if not is_taken.all():
      view = view.select(is_taken[view.labels])
      if not (len(view) or (split is None and is_taken.any())):
        told = 'There are no examples of these sources and classes'
        raise SplitError(f'{told} in {spec!r}.')
    return view

  def read(view: SplitView) -> Arrays:
    examples = view.read(features)
    return tuple(examples[feature] for feature in features)

  # All splits are checked before any is read.
  views = map_splits(take, SPLITS if split is None else split)
  return map_splits(read, views)


def _are_taken(
  what: str, given: Sequence[Any] | None, known: Sequence[tuple[Any, ...]]
) -> np.ndarray:
  """Returns whether a name of each class is given, bool (n,); None gives all."""
  if given is None:
    return np.ones(len(known), bool)
  check_known(what, given, dict.fromkeys(sum(known, ())))
  return np.array([not {*given}.isdisjoint(names) for names in known])


def training_rows(
  name: str,
  split: Split,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> np.ndarray:
  """Returns which training examples a split has.

  `tfds.load` cannot name single examples, so it does not know 'validation' and
  'fit'. This function says which examples of 'train' these have.
  docs/reading.md shows how to take them.

  Args:
    name: Name of a subset.
    split: A split of training examples alone: 'validation', 'fit',
      'validation[:50%]', 'train[:10%]'.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take the synthetic sample instead of CMNIST.

  Returns:
    int64 (m,), the numbers of the examples in the split 'train' of the prepared
    dataset, from 0, in the order in which `load_data` returns them.

  Raises:
    CmnistError: In the same cases as `load_data`.
    SplitError: Also if the split has test examples.
  """
  opened = open_named(name, data_dir=data_dir, sample=sample)
  opened.part(split)
  splits, rows = zip(*opened.rows(split), strict=True)
  if 'test' in splits:
    raise SplitError(
      f'{split!r} has test examples. Name a split of training examples, such as'
      ' validation or fit.'
    )
  return np.concatenate(rows)


def first_of_each_class(opened: Opened, count: int) -> list[list[np.ndarray]]:
  """Returns the first training images of each class.

  Args:
    opened: The subset.
    count: How many images of each class. A class with fewer images gives all.

  Returns:
    For each label, its images, uint8 (28, 28).
  """
  view = opened.split('train')
  view = view.select(class_ranks(view.labels) < count)
  first = view.read()
  images, labels = first[schema.IMAGE.name], first[schema.LABEL.name]
  return [[*images[labels == c.label]] for c in opened.subset.classes]
