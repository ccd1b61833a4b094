# SPDX-License-Identifier: Apache-2.0
"""Writes the checksums and citations of the sources in the formats of TFDS.

    python scripts/write_derived_files.py

The facts come from `cmnist_tfds.sources`. A test fails if the files in the
repository differ from those that this script writes.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from urllib import parse

from cmnist_tfds import sources, subsets

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def published_files() -> Iterator[sources.OriginFile]:
  """Yields every file that is published on its own, each once."""
  seen = set()
  for source in sources.SOURCES:
    for file in source.origin_files:
      for published in (file.archive or file, *file.equivalents):
        if published.path not in seen:
          seen.add(published.path)
          yield published


def checksums() -> str:
  """Returns checksums.tsv: address, size, SHA-256, file name; sorted.

  A file whose SHA-256 is not known has no line: TFDS knows no other hash. Names
  are unique, as TFDS wants them: at its origin a file has its path in a manual
  folder, at a second home the host stands in place of the folder.
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
  second_homes = (parse.urlsplit(url).netloc for url in file.urls[1:])
  return [file.path, *(f'{host}/{file.name}' for host in second_homes)]


def derived_files() -> dict[pathlib.Path, str]:
  """Returns the text of each derived file by its path in the repository."""
  citations = subsets.citations(sources.SOURCES) + '\n'
  return {
    pathlib.Path('checksums/checksums.tsv'): checksums(),
    pathlib.Path('cmnist_tfds/datasets/cmnist/CITATIONS.bib'): citations,
    pathlib.Path('cmnist_tfds/datasets/cmnist_sample/CITATIONS.bib'): citations,
  }


def main() -> None:
  """Writes them and prints their paths."""
  for path, text in derived_files().items():
    (_REPOSITORY / path).write_text(text, encoding='utf-8')
    print(path)


if __name__ == '__main__':
  main()
