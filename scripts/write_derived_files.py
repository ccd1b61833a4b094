# SPDX-License-Identifier: Apache-2.0
"""Writes the files that follow from others.

They are the checksums and citations of the sources in the formats of TFDS, the
scores of the predictions in results/, the table of results, and the difficulty
of subsets.

    python scripts/write_derived_files.py

The facts come from `cmnist_tfds.sources` and from the predictions. A test fails if the files in the
repository differ from those that this script writes.
"""

from __future__ import annotations

import itertools
import pathlib
import sys
from collections.abc import Iterator

from cmnist_tfds import sources, subsets
from cmnist_tfds.scoring import difficulty, report, results
from cmnist_tfds.system.errors import CmnistError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_RESULTS = _REPOSITORY / 'results'

_INTRODUCTION = """\
# Results

Every figure marked *recomputed* follows from predictions in [results/](../results),
and a test computes it again. Figures marked *reported* are as their authors gave them.
All are of the test sets of CMNIST, none of the synthetic sample.
[reporting.md](reporting.md) says what the columns mean and how to add a result.

So far this is what could be run with the real files at hand, those of Fashion-MNIST
and Kannada-MNIST, on 2-FKd, on its two sources, and on their reduced forms: exact
nearest neighbors (`cmnist baseline knn`), and LeNet trained from five seeds
(`cmnist baseline net`). Other networks need a GPU to be scored on all of these, and are
missing. Rows with 10 runs are 10 other draws of a reduced training set, for LeNet with
one seed. The published draws of Kannada-MNIST hold the digits of a single writer, which
is why other draws of ten or more images a class score so much higher.
"""


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


def derived_files() -> dict[pathlib.Path, str]:
  """Returns the text of each derived file by its path in the repository."""
  citations = subsets.citations(sources.SOURCES) + '\n'
  return {
    pathlib.Path('checksums/checksums.tsv'): checksums(),
    pathlib.Path('cmnist_tfds/datasets/cmnist/CITATIONS.bib'): citations,
    pathlib.Path('cmnist_tfds/datasets/cmnist_sample/CITATIONS.bib'): citations,
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


def table_of_results() -> dict[pathlib.Path, str]:
  """Returns the text of the page with the table of results, by its path."""
  sections = [
    report.Section(full.name, results.to_table(list(rows)))
    for full, rows in itertools.groupby(
      results.read_results(_RESULTS), lambda row: row.subset.full
    )
  ]
  text = _INTRODUCTION + '\n' + report.to_markdown(sections)
  text = text.replace('### ', '## ')
  return {pathlib.Path('docs/results.md'): text}


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
  _write(table_of_results())
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
