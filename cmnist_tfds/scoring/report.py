# SPDX-License-Identifier: Apache-2.0
"""Evaluations and comparisons as tables, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds.scoring.comparison import Comparison
from cmnist_tfds.scoring.evaluation import Evaluation
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.subsets import Subset


class Section(NamedTuple):
  """A part of a report.

  Attributes:
    title: Its headline.
    rows: The cells of a table, the header first.
    lines: Sentences below the table.
  """

  title: str
  rows: Sequence[Sequence[str]]
  lines: Sequence[str] = ()


def _section(
  title: str,
  header: str,
  rows: Iterable[Iterable[Any]],
  lines: Sequence[str] = (),
) -> Section:
  return Section(title, [header.split(', '), *(row(*r) for r in rows)], lines)


def evaluation_sections(scored: Evaluation) -> list[Section]:
  """Returns the report of an evaluation."""
  names = scored.subset.class_names
  several = len(scored.runs) > 1
  keys = ', '.join(source.key for source in scored.subset.sources)
  figures = []
  for figure_ in ('accuracy', 'balanced_accuracy'):
    spread = getattr(scored, f'{figure_}_spread')
    deviations = [deviation(spread.seeds), deviation(spread.draws)] * several
    title = figure_.replace('_', ' ')
    figures.append((title, getattr(scored, figure_), *deviations))
  header = f', {"mean" if several else "score"}, 95 % interval'
  sections = [
    _section(
      f'{scored.dataset}/{scored.subset.name} {scored.split}:'
      f' {scored.examples:,} examples, {len(names)} classes,'
      f' {len(scored.runs)} run{"s" * several}',
      header + ', between seeds, between draws' * several,
      figures,
      [*scored.notes, *(f'{f}: {text}' for f, text in scored.about.items())],
    ),
    _section(
      'Runs',
      'seed, draw, accuracy, balanced accuracy',
      (
        (_text(r.seed), _text(r.draw), r.accuracy, r.balanced_accuracy)
        for r in scored.runs * several
      ),
    ),
    _section(
      'Sources, and the share predicted as a class of each source',
      f'source, examples, accuracy, 95 % interval, balanced, 95 % interval, {keys}',
      map(_values, scored.sources),
    ),
    _section(
      'Classes',
      'label, class, source, examples, accuracy, 95 % interval, precision',
      (
        (*c, accuracy or ('-', '-'), precision)
        for *c, accuracy, precision in map(_values, scored.classes)
      ),
    ),
    _section(
      'Classes confused most often',
      'class, predicted as, examples, share of the class',
      (
        (names[p.label], names[p.predicted], f'{p.examples:,g}', p.share)
        for p in scored.worst_pairs
      ),
    ),
  ]
  return [section for section in sections if len(section.rows) > 1]


def comparison_sections(compared: Comparison) -> list[Section]:
  """Returns the report of a comparison."""
  difference = compared.difference
  lines = [
    f'Accuracy of A minus that of B: {difference.value:+.4f}, paired 95 %'
    f' interval [{difference.low:+.4f}, {difference.high:+.4f}].'
  ]
  if compared.p is not None:
    # Smaller numbers than floats have are 0.
    p = f'= {compared.p:.4g}' if compared.p else '< 1e-300'
    lines.append(
      f'Examples that A alone recognizes: {compared.only_first:,}; that B alone'
      f" does: {compared.only_second:,}. McNemar's exact test: p {p}."
    )
  methods = [
    (title, m.trained_on, m.runs, m.accuracy, m.about.get('method'))
    for title, m in (('A', compared.first), ('B', compared.second))
  ]
  title = (
    f'{compared.dataset}/{compared.subset} {compared.split}:'
    f' {compared.examples:,} examples'
  )
  header = ', trained on, runs, accuracy, 95 % interval, method'
  return [_section(title, header, methods, [*lines, *compared.notes])]


def to_markdown(sections: Iterable[Section]) -> str:
  """Returns a report in Markdown."""
  parts = []
  for section in sections:
    head, *rows = section.rows
    parts += [
      f'### {section.title}',
      '\n'.join(
        f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |'
        for cells in (head, ['---'] * len(head), *rows)
      ),
    ]
    if section.lines:
      parts.append('\n'.join(f'- {line}' for line in section.lines))
  return '\n\n'.join(parts) + '\n'


def to_json(reported: Evaluation | Comparison) -> str:
  """Returns an evaluation or a comparison as JSON.

  Its fields are the attributes of the record. An `Estimate` is an object with
  `value`, `low` and `high`; a subset is its name.
  """
  return json.dumps(reported, default=_plain, indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:
  """Returns what JSON has no type for in one that it has."""
  if isinstance(value, Subset):
    return value.name
  return value.tolist() if isinstance(value, np.ndarray) else vars(value)


def _values(record: Any) -> tuple[Any, ...]:
  return tuple(vars(record).values())


def _text(number: int | None) -> str | None:
  return None if number is None else str(number)


def row(*values: str | float | Estimate | tuple[Any, ...] | None) -> list[str]:
  """Returns the cells of values; those of a tuple have a cell each."""
  cells: list[str] = []
  for value in values:
    if isinstance(value, Estimate):
      cells += estimate(value)
    elif isinstance(value, tuple):
      cells += row(*value)
    elif isinstance(value, float):
      cells.append(figure(value))
    else:
      cells.append(f'{value:,}' if isinstance(value, int) else value or '-')
  return cells


def figure(share: float) -> str:
  """Returns a share with four decimals."""
  # Equal shares, computed in two ways, may differ in their last bit.
  return f'{round(share, 9):.4f}'


def deviation(spread: float | None) -> str:
  """Returns a standard deviation; an empty text if it is not known."""
  return '' if spread is None else f'± {figure(spread)}'


def estimate(found: Estimate) -> tuple[str, str]:
  """Returns a figure, and its interval."""
  return figure(found.value), f'[{figure(found.low)}, {figure(found.high)}]'
