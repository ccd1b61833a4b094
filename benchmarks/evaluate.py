# SPDX-License-Identifier: Apache-2.0
"""Measures how fast predictions are scored and baselines computed.

    CMNIST_ORIGIN_FILES=files python benchmarks/evaluate.py
    python benchmarks/evaluate.py --stand_ins scratch --family

Prints a table. benchmarks/README.md says what the rows are.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

_PREDICTIONS = 175_000


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--name', default='2-FKd', help='name of a subset')
  parser.add_argument(
    '--sample', action='store_true', help='measure on the synthetic sample'
  )
  parser.add_argument(
    '--data_dir', help='folder of prepared datasets (default: a new one)'
  )
  parser.add_argument(
    '--stand_ins',
    type=pathlib.Path,
    help='folder of stand-ins, which are made if they are not there',
  )
  parser.add_argument(
    '--family',
    action='store_true',
    help='measure the 670 reduced subsets too, on all sources',
  )
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as scratch:
    manual_dir = os.environ.get('CMNIST_ORIGIN_FILES')
    if args.stand_ins:
      import stand_ins

      args.data_dir = args.data_dir or str(args.stand_ins / 'evaluate')
      stand_ins.make(
        args.stand_ins / 'files', 1, manual_dir and pathlib.Path(manual_dir)
      )
      stand_ins.use(args.stand_ins / 'files')
      manual_dir = str(args.stand_ins / 'files')
    args.data_dir = args.data_dir or scratch
    os.environ.setdefault('CMNIST_CACHE_DIR', f'{args.data_dir}/cache')
    print('| what | seconds | processor seconds |')
    print('|---|--:|--:|')
    for what, run in _cases(args, manual_dir, pathlib.Path(scratch)):
      _measure(what, run)


def _measure(what: str, run: Callable[[], object]) -> None:
  begin, used = time.perf_counter(), _processor()
  try:
    run()
  except ImportError as error:
    print(f'| left out: {what} | {error.name} is not installed | |')
    return
  seconds = time.perf_counter() - begin
  print(f'| {what} | {seconds:.2f} | {_processor() - used:.2f} |', flush=True)


def _processor() -> float:
  used = resource.getrusage(resource.RUSAGE_SELF)
  return used.ru_utime + used.ru_stime


def _score(scratch: pathlib.Path) -> None:
  import numpy as np

  from cmnist_tfds import subsets
  from cmnist_tfds.scoring import evaluation, predictions

  rng = np.random.default_rng(0)
  labels = rng.integers(0, 131, _PREDICTIONS)
  guesses = np.where(rng.random(_PREDICTIONS) < 0.8, labels, 0)
  made = predictions.make_predictions(
    subsets.subset('4-EcFKdK49'), guesses, labels
  )
  predictions.write_predictions(scratch / 'p.npz', made)
  evaluation.score(predictions.read_predictions(scratch / 'p.npz'))


def _cases(
  args: argparse.Namespace, manual_dir: str | None, scratch: pathlib.Path
) -> Iterator[tuple[str, Callable[[], object]]]:
  import numpy as np

  from cmnist_tfds import subsets
  from cmnist_tfds.build import build
  from cmnist_tfds.cache import store
  from cmnist_tfds.load.open_subset import Opened, open_subset
  from cmnist_tfds.scoring import (
    baselines,
    duplicates,
    nearest_neighbors,
    results,
  )
  from cmnist_tfds.sources import Source
  from cmnist_tfds.subsets import Subset

  subset = subsets.subset(args.name)
  family = subsets.declared()[len(subsets.published()) :] if args.family else ()
  needed = {s for each in (subset, *family) for s in each.sources}
  wanted = [subsets.combine(source) for source in needed]
  for outcome in build(
    wanted, sample=args.sample, data_dir=args.data_dir, manual_dir=manual_dir
  ):
    if outcome.error:
      raise SystemExit(f'{outcome.name}: {outcome.error}')

  def opened(wanted: Subset) -> Opened:
    found = open_subset(wanted, data_dir=args.data_dir, sample=args.sample)
    assert found is not None, 'it was built'
    return found

  def images(split: str) -> tuple[Any, Any]:
    parts = [
      opened(subsets.combine(source)).split(split).read()
      for source in subset.sources
    ]
    return (
      np.concatenate([part['image'] for part in parts])
      .reshape(-1, 784)
      .astype(np.float32),
      np.concatenate(
        [100 * number + part['label'] for number, part in enumerate(parts)]
      ),
    )

  def neighbors(searched: Subset) -> Callable[[], object]:
    def run() -> None:
      store.clear('neighbors')
      nearest_neighbors.Neighbors(opened, 5).nearest_labels(searched)

    return run

  def scikit_learn() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(5, algorithm='brute').fit(*images('train'))
    model.predict(images('test')[0])

  def faiss() -> None:
    import faiss as faiss_lib

    index = faiss_lib.IndexFlatL2(784)
    index.add(images('train')[0])
    index.search(images('test')[0], 5)

  def audit(source: Source) -> Callable[[], object]:
    return lambda: duplicates.find_duplicates(
      duplicates.audited_images(subsets.combine(source), opened)
    )

  def reduced() -> None:
    store.clear('neighbors')
    dataset = 'cmnist_sample' if args.sample else 'cmnist'
    wanted = results.Wanted(family, 0, scratch / 'results', dataset, opened)
    for _ in baselines.neighbor_results(wanted, [1, 3, 5]):
      pass

  what = f'{_PREDICTIONS:,} predictions written, read and scored'
  yield what, lambda: _score(scratch)
  yield f'neighbors: {args.name}-r-100', neighbors(subsets.reduce(subset, 100))
  yield f'neighbors: {args.name}', neighbors(subset)
  yield f'neighbors: {args.name}, scikit-learn', scikit_learn
  yield f'neighbors: {args.name}, faiss', faiss
  for source in subset.sources:
    yield f'audit of {source.key}', audit(source)
  if family:
    yield f'results of {len(family)} reduced subsets, three k each', reduced


if __name__ == '__main__':
  main()
