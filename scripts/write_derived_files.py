# SPDX-License-Identifier: Apache-2.0
"""Writes the files that follow from others.

They are the checksums and citations of the sources in the formats of TFDS, the
scores of the predictions in results/, the page of results with its pictures, and
the difficulty of subsets; and README.md, CITATION.cff and the notebooks, as far as
they name the address of the repository.

    python scripts/write_derived_files.py

The facts come from `cmnist_tfds.sources` and from the predictions. A test fails
if the files in the repository differ from those that this script writes. The
pictures depend on the version of matplotlib, so of those only the digest of what
they show is compared. They need the extra `figures`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from cmnist_tfds import sources, subsets
from cmnist_tfds.scoring import difficulty, intervals, report, results
from cmnist_tfds.system.errors import CmnistError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_RESULTS = _REPOSITORY / 'results'

_INTRODUCTION = """\
# Results

What could be run with the real files at hand, those of Fashion-MNIST and Kannada-MNIST:
exact nearest neighbors (`cmnist baseline knn`), and LeNet trained from five seeds
(`cmnist baseline net`). Larger networks need a GPU, and are missing. All figures are of
the test sets of CMNIST, none of the synthetic sample, and follow from predictions in
[results/](../results), unless they are marked *reported*: a test computes them again.
The files there have the scores in full. [Reporting a result](reporting.md) says how to
add one.

## Learning curves

Accuracy on the test set against training images of each class. A full line is the mean
of ten other draws of the training set, a broken one the published draw; they meet at
the full training set. Bands are 95 % intervals over test images (of Kannada-MNIST over
their writers) and runs, where a method has several.

{pictures}

The published draws of Kannada-MNIST are of a single writer, so other draws of ten or
more images per class score much higher.

## Tables

Mean accuracy by training images of each class, ± the standard deviation between ten
draws or, of LeNet on the published draw, between five seeds. LeNet has one seed per draw,
so its spread between draws has that of seeds in it. Balanced accuracy has rows of its
own where it differs.
"""
# The style of each method, in the order of the table, on a light and a dark page.
_COLORS = {
  '': ['#1967d2', '#b85c00', '#188038', '#a142f4'],
  '-dark': ['#8ab4f8', '#fcad70', '#81c995', '#d7aefb'],
}
_PAGE = {'': ('#ffffff', '#202124'), '-dark': ('#131416', '#e8eaed')}


class Point(NamedTuple):
  """A point of a learning curve.

  Attributes:
    method: Name of the method's files, without `-draws`.
    draws: Whether it is the mean of other draws than the published one.
    images: Training images of each class.
    accuracy: The mean accuracy of its runs.
    low: Lower limit of the interval.
    high: Upper limit.
  """

  method: str
  draws: bool
  images: int
  accuracy: float
  low: float
  high: float


def published_files() -> Iterator[sources.OriginFile]:
  """Yields every file that is published on its own, each once."""
  seen = set()
  for source in sources.SOURCES:
    for file in source.origin_files:
      for published in (*filter(None, [file.archive]), file, *file.equivalents):
        if published.urls and published.path not in seen:
          seen.add(published.path)
          yield published


def checksums() -> str:
  """Returns checksums.tsv: address, size, SHA-256, file name; sorted.

  A file whose SHA-256 is not known has no line: TFDS knows no other hash. Names
  are unique, as TFDS wants them: at its origin a file has its path in a manual
  folder, at a further home its address.
  """
  return ''.join(
    sorted(
      f'{url}\t{file.size}\t{file.sha256}\t{name}\n'
      for file in published_files()
      if file.sha256
      for url, name in zip(file.urls, _names(file), strict=True)
    )
  )


def _names(file: sources.OriginFile) -> list[str]:
  return [file.path, *(url.partition('://')[2] for url in file.urls[1:])]


def addressed() -> Iterator[tuple[pathlib.Path, str]]:
  """Yields the files that have the address of the repository, with their texts."""
  project = msgspec.toml.decode((_REPOSITORY / 'pyproject.toml').read_bytes())
  address = project['project']['urls']['Repository']
  for pattern, before in (
    ('README.md', 'git clone '),
    ('CITATION.cff', 'repository-code: '),
    ('docs/notebooks/*.ipynb', r'@ git\+'),
  ):
    for path in sorted(_REPOSITORY.glob(pattern)):
      text, found = re.subn(
        rf'({before})[\w:/.-]+', rf'\1{address}', path.read_text('utf-8')
      )
      if not found:
        raise ValueError(f'{path} does not have the address of the repository')
      yield path.relative_to(_REPOSITORY), text


def derived_files() -> dict[pathlib.Path, str]:
  """Returns the text of each derived file by its path in the repository."""
  citations = subsets.citations(sources.SOURCES) + '\n'
  return {
    pathlib.Path('checksums/checksums.tsv'): checksums(),
    pathlib.Path('cmnist_tfds/datasets/cmnist/CITATIONS.bib'): citations,
    pathlib.Path('cmnist_tfds/datasets/cmnist_sample/CITATIONS.bib'): citations,
    **dict(addressed()),
  }


def scores() -> dict[pathlib.Path, str]:
  """Returns the text of each file of scores whose predictions are there."""
  folders = {path.parent for path in _RESULTS.glob('*/*/*.npz')}
  return {
    path.with_suffix('.json').relative_to(_REPOSITORY): (
      results.recompute_scores(path)
    )
    for path in sorted({*_RESULTS.glob('*/*.npz'), *folders})
  }


def _groups() -> list[tuple[subsets.Subset, list[results.ResultRow]]]:
  """Returns the results of each full subset with its reduced forms."""
  rows = results.read_results(_RESULTS)
  found = itertools.groupby(rows, lambda row: row.subset.full)
  return [(full, list(group)) for full, group in found]


def page_of_results() -> dict[pathlib.Path, str]:
  """Returns the text of the page of results, by its path."""
  groups = _groups()
  pictures = '\n'.join(
    f'![Learning curves of {full.name}](results/{full.name}.svg)'
    for full, _ in groups
  )
  about: dict[str, dict[str, None]] = {}
  for row in itertools.chain.from_iterable(rows for _, rows in groups):
    about.setdefault(_method(row), {})[row.scores.about['method']] = None
  methods = [
    [name, '; '.join(titles)] for name, titles in sorted(about.items())
  ]
  sections = [
    report.Section('Methods', [['method', 'is'], *methods]),
    *(report.Section(full.name, _compact_table(rows)) for full, rows in groups),
  ]
  text = _INTRODUCTION.format(pictures=pictures) + '\n'
  return {pathlib.Path('docs/results.md'): text + report.to_markdown(sections)}


def _method(row: results.ResultRow) -> str:
  return row.method.removesuffix('-draws')


def _compact_table(rows: Sequence[results.ResultRow]) -> list[list[str]]:
  """Returns a row for each method, and a column for each size."""
  sizes = sorted({row.subset.per_class or math.inf for row in rows})
  cells: dict[tuple[str, str], dict[float, str]] = {}
  for row in rows:
    scores = row.scores
    draw = 'others' if row.method.endswith('-draws') else 'published'
    title = _method(row) + ', reported' * (not row.recomputed)
    spread = report.deviations(scores.accuracy_spread).values()
    figure = ' '.join([report.figure(scores.accuracy.value), *spread])
    figure = figure.replace('± ', '±\N{NO-BREAK SPACE}')
    size = row.subset.per_class or math.inf
    cells.setdefault((title, draw), {})[size] = figure
    balanced = report.figure(scores.balanced_accuracy.value)
    if balanced != report.figure(scores.accuracy.value):
      cells.setdefault((f'{title}, balanced', draw), {})[size] = balanced
  head = ['full' if size == math.inf else str(size) for size in sizes]
  return [['method', 'draw', *head]] + [
    [*names, *(found.get(size, '') for size in sizes)]
    for names, found in sorted(cells.items())
  ]


def _points(rows: Sequence[results.ResultRow]) -> list[Point]:
  """Returns the points of the learning curves of a subset."""
  points = []
  for row in rows:
    full = row.subset.full
    images = row.subset.per_class or full.num_train // full.num_classes
    path = _RESULTS / row.subset.name / f'{row.method}.json'
    scores = json.loads(path.read_text('utf-8'))
    # The interval over writers of all test images is the last one.
    over = (scores.get('writers') or [scores])[-1]['accuracy']
    width = over['high'] - over['low'] if 'high' in over else 0
    variance = (width / 2 / 1.96) ** 2
    spread = [s for s in row.scores.accuracy_spread.values() if s is not None]
    runs = len(row.scores.runs)
    estimate = intervals.from_parts(
      over['value'],
      np.array([variance, *(s**2 / runs for s in spread)]),
      np.array([1e6, *(runs - 1 for _ in spread)]),
      least=0,
    )
    method = _method(row)
    draws = method != row.method
    points.append(Point(method, draws, images, *vars(estimate).values()))
    if row.subset.per_class is None:  # Other draws of it are the same.
      points.append(points[-1]._replace(draws=True))
  return sorted(points)


def digest(points: Sequence[Point]) -> str:
  """Returns what stands in a picture, to tell whether it shows these points."""
  rounded = [[m, d, n, *map(report.figure, rest)] for m, d, n, *rest in points]
  return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()


def curves() -> dict[pathlib.Path, list[Point]]:
  """Returns what each picture shows, by its path; each has a dark form."""
  return {
    pathlib.Path(f'docs/results/{full.name}.svg'): _points(rows)
    for full, rows in _groups()
  }


def _draw(path: pathlib.Path, points: Sequence[Point], suffix: str) -> None:
  import matplotlib
  from matplotlib.figure import Figure

  page, ink = _PAGE[suffix]
  style = dict.fromkeys(
    (
      'axes.edgecolor',
      'axes.labelcolor',
      'text.color',
      'xtick.color',
      'ytick.color',
    ),
    ink,
  )
  style |= {'figure.facecolor': page, 'axes.facecolor': page, 'font.size': 9}
  with matplotlib.rc_context({**style, 'svg.hashsalt': 'cmnist'}):
    figure = Figure(figsize=(3.8, 3.4), layout='constrained')
    axes = figure.add_subplot(title=path.stem, xscale='log')
    axes.set(xlabel='training images of each class', ylabel='accuracy')
    grouped = itertools.groupby(points, lambda point: point[:2])
    curves = {names: list(group) for names, group in grouped}
    methods = sorted({method for method, _ in curves})
    colors = dict(zip(methods, itertools.cycle(_COLORS[suffix]), strict=False))
    for (method, draws), curve in curves.items():
      _, _, images, accuracy, low, high = zip(*curve, strict=True)
      label = method if draws or (method, True) not in curves else None
      dashes = '-' if draws else '--'
      axes.plot(
        images, accuracy, dashes, color=colors[method], label=label, marker='.'
      )
      axes.fill_between(
        images,
        low,
        high,
        color=colors[method],
        alpha=0.15 if draws else 0.08,
        linewidth=0,
      )
    sizes = sorted({point.images for point in points})
    axes.set_xticks(sizes, [f'{size:,}' for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.2)
    axes.legend(loc='lower right', frameon=False)
    place = _REPOSITORY / path.with_stem(path.stem + suffix)
    place.parent.mkdir(exist_ok=True)
    figure.savefig(
      place, metadata={'Date': None, 'Description': digest(points)}
    )


def difficulties() -> dict[pathlib.Path, str]:
  """Returns the text of the file with the difficulty of subsets, by its path."""
  lines = ['\t'.join(difficulty.HEADER)] + [
    f'{row.subset.name}\t{row.scores.accuracy.value:.4f}'
    for row in results.read_results(_RESULTS)
    if row.method == 'knn-1'
  ]
  # The package that is imported may be another copy, an installed one.
  path = pathlib.Path('cmnist_tfds/scoring', difficulty.TABLE.name)
  return {path: '\n'.join(lines) + '\n'}


def main() -> None:
  """Writes them and prints their paths."""
  _write(derived_files())
  _write(scores())
  # These are made from the scores.
  _write(page_of_results())
  for (path, points), suffix in itertools.product(curves().items(), _PAGE):
    _draw(path, points, suffix)
    print(path)
  _write(difficulties())


def _write(files: dict[pathlib.Path, str]) -> None:
  for path, text in files.items():
    (_REPOSITORY / path).write_text(text, encoding='utf-8')
    print(path)


if __name__ == '__main__':
  try:
    main()
  except CmnistError as error:
    sys.exit(f'{sys.argv[0]}: {error}')
