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

import functools
import hashlib
import itertools
import json
import pathlib
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence

import msgspec

from cmnist_tfds import sources, subsets
from cmnist_tfds.figures import learning_curves, pictures
from cmnist_tfds.scoring import difficulty, report, results, summary
from cmnist_tfds.system.errors import CmnistError, PredictionsError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_RESULTS = _REPOSITORY / 'results'

_INTRODUCTION = """\
# Results

What could be run with the real files at hand, by `cmnist baseline`: on three subsets of
the paper, and on [extensions](sources.md#extensions): MNIST (Mn) and the digits of
CMATERdb (Bn, Dv, Te), where LeNet is missing. Large networks need a GPU, and are missing
on all.

All figures are of the test sets of CMNIST, none of the synthetic sample, and follow from
predictions in [results/](../results), unless they are marked *reported*: a test computes
them again. The times there are of one processor of two, and the other one worked, too.
Runs of `hog-svm` share the features of images, whose time is in the first of those that
one command made. [Reporting a result](reporting.md) says how to add one.
`cmnist report results -o report` makes the pictures and tables of this page, and more:
all runs, intervals by the origin of the test images, and pairs of methods.

## Learning curves

{curves}

{pictures}

The published draws of Kannada-MNIST are of a single writer, so other draws of ten or
more images per class score much higher.

## Tables

Mean accuracy by training images of each class, ± the standard deviation between runs.
These have a draw each where the training set is other draws, and else a seed each; with
one seed for each draw, the spread between draws has that of seeds in it. Balanced
accuracy has rows of its own where it differs. The last columns are full training sets.
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


def read_report() -> list[summary.Runs]:
  """Returns what `cmnist report` reads of the results."""
  runs, faults = summary.read([_RESULTS], subsets.DATASET, None)
  if faults:
    raise PredictionsError('; '.join(faults))
  return runs


def page_of_results(
  runs: Sequence[summary.Runs],
) -> dict[pathlib.Path, str]:
  """Returns the text of the page of results, by its path."""
  shown = '\n'.join(
    f'![Learning curves of {path.stem}](results/{path.name})'
    for path in curves(runs)
  )
  about = {
    (each.method, each.found.about['method']) for each in runs if each.found
  }
  sections = [
    report.Section('Methods', [['method', 'is'], *map(list, sorted(about))]),
    *(table._replace(lines=()) for table in summary.accuracies(runs)),
  ]
  said = textwrap.fill(summary.CURVES, 88)
  text = _INTRODUCTION.format(curves=said, pictures=shown) + '\n'
  text += report.to_markdown(sections).replace('± ', '±\N{NO-BREAK SPACE}')
  return {pathlib.Path('docs/results.md'): text}


def curves(
  runs: Sequence[summary.Runs],
) -> dict[pathlib.Path, learning_curves.Curves]:
  """Returns what each picture shows, by its path; each has a dark form."""
  return {
    pathlib.Path(f'docs/results/{name}.svg'): {name: curve}
    for name, curve in summary.curves(runs).items()
  }


def digest(shown: learning_curves.Curves) -> str:
  """Returns what stands in a picture, to tell whether it shows these curves."""
  rounded = json.dumps(shown)
  rounded = json.loads(
    rounded, parse_float=lambda figure: f'{float(figure):.4f}'
  )
  return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()


def _draw(runs: Sequence[summary.Runs]) -> None:
  methods = sorted({each.method for each in runs})
  for (path, shown), dark in itertools.product(curves(runs).items(), (0, 1)):
    place = _REPOSITORY / path.with_stem(path.stem + '-dark' * dark)
    place.parent.mkdir(exist_ok=True)
    draw = functools.partial(
      learning_curves.draw_learning_curves, shown, path.stem, methods
    )
    pictures.save(place, draw, dark=bool(dark))
    with place.open('a') as file:
      file.write(f'<!-- {digest(shown)} -->\n')
    print(place.relative_to(_REPOSITORY))


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
  runs = read_report()
  _write(page_of_results(runs))
  _draw(runs)
  # They are made from the scores.
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
