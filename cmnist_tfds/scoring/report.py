# SPDX-License-Identifier: Apache-2.0
"""Evaluations and comparisons as tables, Markdown and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds.scoring.comparison import Comparison
from cmnist_tfds.scoring.evaluation import Evaluation, Spread
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.subsets import Subset


class Section(NamedTuple):
  """A part of a report.

  Attributes:
    title: Its headline.
    rows: The cells of a table, the header first; empty for no table.
    lines: Sentences below the table.
  """

  title: str
  rows: Sequence[Sequence[str]]
  lines: Sequence[str] = ()


def evaluation_sections(scored: Evaluation) -> list[Section]:
  """Returns the report of an evaluation."""
  names = [c.name for c in scored.subset.classes]
  sections = [
    Section(
      f'{scored.dataset}/{scored.subset.name} {scored.split}:'
      f' {scored.examples:,} examples, {len(names)} classes, {_runs(scored)}',
      [
        ['', 'mean' if len(scored.runs) > 1 else 'score', '95 % interval']
        + ['between seeds', 'between draws'] * (len(scored.runs) > 1),
        [
          'accuracy',
          *estimate(scored.accuracy),
          *_spread(scored.accuracy_spread, len(scored.runs)),
        ],
        [
          'balanced accuracy',
          *estimate(scored.balanced_accuracy),
          *_spread(scored.balanced_accuracy_spread, len(scored.runs)),
        ],
      ],
      _lines(scored.about, scored.notes),
    )
  ]
  if len(scored.runs) > 1:
    sections.append(
      Section(
        'Runs',
        [
          ['seed', 'draw', 'accuracy', 'balanced accuracy'],
          *(
            [
              *('-' if n is None else str(n) for n in (run.seed, run.draw)),
              figure(run.accuracy),
              figure(run.balanced_accuracy),
            ]
            for run in scored.runs
          ),
        ],
      )
    )
  keys = [source.key for source in scored.subset.sources]
  sections.append(
    Section(
      'Sources, and the share predicted as a class of each source',
      [
        [
          'source',
          'examples',
          'accuracy',
          '95 % interval',
          'balanced',
          '95 % interval',
          *keys,
        ],
        *(
          [s.key, f'{s.examples:,}', *estimate(s.accuracy)]
          + [*estimate(s.balanced_accuracy)]
          + [figure(share) for share in s.predicted]
          for s in scored.sources
        ),
      ],
    )
  )
  sections.append(
    Section(
      'Classes',
      [
        [
          'label',
          'class',
          'source',
          'examples',
          'accuracy',
          '95 % interval',
          'precision',
        ],
        *(
          [str(c.label), c.name, c.source, f'{c.examples:,}']
          + (['-', '-'] if c.accuracy is None else [*estimate(c.accuracy)])
          + ['-' if c.precision is None else figure(c.precision)]
          for c in scored.classes
        ),
      ],
    )
  )
  if scored.worst_pairs:
    sections.append(
      Section(
        'Classes confused most often',
        [
          ['class', 'predicted as', 'examples', 'share of the class'],
          *(
            [
              names[pair.label],
              names[pair.predicted],
              f'{pair.examples:,g}',
              figure(pair.share),
            ]
            for pair in scored.worst_pairs
          ),
        ],
      )
    )
  return sections


def comparison_sections(compared: Comparison) -> list[Section]:
  """Returns the report of a comparison."""
  rows = [
    ['', 'trained on', 'runs', 'accuracy', '95 % interval', 'method'],
    *(
      [
        title,
        one.trained_on,
        str(one.runs),
        *estimate(one.accuracy),
        one.about.get('method', '-'),
      ]
      for title, one in (('A', compared.first), ('B', compared.second))
    ),
  ]
  low, high = compared.difference[1:]
  lines = [
    f'Accuracy of A minus that of B: {compared.difference.value:+.4f}, paired'
    f' 95 % interval [{low:+.4f}, {high:+.4f}].'
  ]
  if compared.p is not None:
    # Smaller numbers than floats have are 0.
    p = f'= {compared.p:.4g}' if compared.p else '< 1e-300'
    lines.append(
      f'A alone recognises {compared.only_first:,} examples and B alone'
      f" {compared.only_second:,}. McNemar's exact test: p {p}."
    )
  return [
    Section(
      f'{compared.dataset}/{compared.subset} {compared.split}:'
      f' {compared.examples:,} examples',
      rows,
      [*lines, *compared.notes],
    )
  ]


def to_markdown(sections: Iterable[Section]) -> str:
  """Returns a report in Markdown."""
  return '\n\n'.join(_markdown_parts(sections)) + '\n'


def to_json(reported: Evaluation | Comparison) -> str:
  """Returns an evaluation or a comparison as JSON.

  Its fields are the attributes of the record. An `Estimate` is an object with
  `value`, `low` and `high`; a subset is its name.
  """
  return json.dumps(_plain(reported), indent=1, ensure_ascii=False)


def _markdown_parts(sections: Iterable[Section]) -> Iterator[str]:
  for section in sections:
    yield f'### {section.title}'
    if section.rows:
      head, *rows = section.rows
      lines = [head, ['---'] * len(head), *rows]
      yield '\n'.join(
        f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |'
        for cells in lines
      )
    if section.lines:
      yield '\n'.join(f'- {line}' for line in section.lines)


def _plain(value: Any) -> Any:
  """Returns a value in the types that JSON has."""
  if isinstance(value, Subset):
    return value.name
  if isinstance(value, Estimate):
    return value._asdict()
  if isinstance(value, np.ndarray):
    return value.tolist()
  if isinstance(value, tuple):
    return [_plain(item) for item in value]
  if dataclasses.is_dataclass(value):
    return {
      field.name: _plain(getattr(value, field.name))
      for field in dataclasses.fields(value)
    }
  return value


def figure(share: float) -> str:
  """Returns a share with four decimals."""
  # Equal shares, computed in two ways, may differ in their last bit.
  return f'{round(share, 9):.4f}'


def estimate(told: Estimate) -> tuple[str, str]:
  """Returns a figure, and its interval."""
  return (
    figure(told.value),
    f'[{figure(told.low)}, {figure(told.high)}]',
  )


def _runs(scored: Evaluation) -> str:
  return f'{len(scored.runs)} run{"s" if len(scored.runs) > 1 else ""}'


def _spread(spread: Spread, runs: int) -> list[str]:
  if runs == 1:
    return []
  return [
    '-' if deviation is None else f'± {figure(deviation)}'
    for deviation in (spread.seeds, spread.draws)
  ]


def _lines(about: dict[str, str], notes: Sequence[str]) -> list[str]:
  return [*notes, *(f'{field}: {text}' for field, text in about.items())]
