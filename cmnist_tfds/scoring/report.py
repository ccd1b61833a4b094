# SPDX-License-Identifier: Apache-2.0
"""Evaluations and comparisons as tables, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cmnist_tfds.scoring.comparison import Comparison
from cmnist_tfds.scoring.evaluation import Evaluation
from cmnist_tfds.scoring.family import Family
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.system.errors import counted


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
  title: str, header: str, rows: Iterable[Any], lines: Sequence[str] = ()
) -> Section:
  return Section(title, [header.split(', '), *(row(*r) for r in rows)], lines)


def evaluation_sections(scored: Evaluation) -> list[Section]:
  """Returns the report of an evaluation."""
  names = scored.subset.class_names
  several = len(scored.runs) > 1
  keys = ', '.join(source.key for source in scored.subset.sources)
  spread = deviations(vars(scored.accuracy_spread))
  balanced = deviations(vars(scored.balanced_accuracy_spread))
  figures = [
    ('accuracy', scored.accuracy, *spread.values()),
    ('balanced accuracy', scored.balanced_accuracy, *balanced.values()),
  ]
  runs = [
    # A seed is written without separators of thousands.
    (r.seed and str(r.seed), r.draw, r.accuracy, r.balanced_accuracy)
    for r in scored.runs * several
  ]
  classes = [
    (*c, accuracy or ('-', '-'), precision)
    for *c, accuracy, precision in map(_values, scored.classes)
  ]
  pairs = [
    (names[p.label], names[p.predicted], f'{p.examples:,g}', p.share)
    for p in scored.worst_pairs
  ]
  sections = [
    _section(
      f'{scored.dataset}/{scored.subset.name} {scored.split}:'
      f' {counted(scored.examples, "example")}, {counted(len(names), "class")},'
      f' {counted(len(scored.runs), "run")}',
      ', '.join(['', ('score', 'mean')[several], '95 % interval', *spread]),
      figures,
      [*scored.notes, *(f'{f}: {text}' for f, text in scored.about.items())],
    ),
    _section('Runs', 'seed, draw, accuracy, balanced accuracy', runs),
    _section(
      'Sources, and the share predicted as a class of each source',
      f'source, examples, accuracy, 95 % interval, balanced, 95 % interval, {keys}',
      map(_values, scored.sources),
    ),
    _section(
      'Writers of test images, with intervals over writers',
      'source, writers, accuracy, 95 % interval, worst writer',
      map(_values, scored.writers),
    ),
    _section(
      'Classes',
      'label, class, source, examples, accuracy, 95 % interval, precision',
      classes,
    ),
    _section(
      'Classes confused most often',
      'class, predicted as, examples, share of the class',
      pairs,
    ),
  ]
  sections += _confidence_sections(scored)
  return [section for section in sections if len(section.rows) > 1]


def _confidence_sections(scored: Evaluation) -> Iterator[Section]:
  if found := scored.confidence:
    figures = {n: v for n, v in vars(found).items() if isinstance(v, float)}
    yield _section(
      f'Scores of the classes ({found.kind})',
      'figure, mean',
      ((name.replace('_', ' '), value) for name, value in figures.items()),
    )
    yield _section(
      'Errors among the examples of the highest score, by their share of all',
      'share, errors',
      ((f'{n / 10:.0%}', risk) for n, risk in enumerate(found.risk, 1)),
    )
    yield _section(
      'Reliability: examples of all runs by their highest probability',
      'mean probability, examples, accuracy',
      found.reliability,
    )
  if scored.ood:
    yield _section(
      'Test images told from others by the highest score',
      'others, examples, AUROC, AUPR, AUPR of the others, FPR at 95 %',
      [_values(scored.ood)],
    )


def comparison_sections(compared: Comparison) -> list[Section]:
  """Returns the report of a comparison."""
  difference, over = compared.difference, compared.interval_over
  over += ' alone, as runs are missing,' * (over == 'images')
  lines = [
    f'Accuracy of A minus that of B: {difference.value:+.4f}, 95 % interval over'
    f' {over} [{difference.low:+.4f}, {difference.high:+.4f}].'
  ]
  if compared.p is not None:
    # Smaller numbers than floats have are 0.
    p = f'= {compared.p:.4g}' if compared.p else '< 1e-300'
    lines.append(
      f'These two trained models: A alone recognizes {compared.only_first:,}'
      f" examples and B alone {compared.only_second:,}. McNemar's exact test of"
      f' the two: p {p}.'
    )
  methods = [
    (title, m.trained_on, m.runs, m.accuracy, m.about.get('method'))
    for title, m in (('A', compared.first), ('B', compared.second))
  ]
  split = f'{compared.dataset}/{compared.subset} {compared.split}'
  title = f'{split}: {compared.examples:,} examples'
  header = ', trained on, runs, accuracy, 95 % interval, method'
  return [_section(title, header, methods, [*lines, *compared.notes])]


def family_sections(found: Family) -> list[Section]:
  """Returns the report of a comparison over several subsets."""
  notes = dict.fromkeys(note for each in found.subsets for note in each.notes)
  rows = [(c.subset, c.interval_over, c.difference) for c in found.subsets]
  origins = [*found.origins.items(), ('mean over origins', found.difference)]
  header = 'A minus B, 95 % interval'
  title = 'Accuracies by the origin of test images'
  note = (
    'Intervals are over runs, and over images or writers, not over origins.'
  )
  return [
    _section('Accuracies', f'subset, interval over, {header}', rows, [*notes]),
    _section(title, f'origin, {header}', origins, [note]),
  ]


# What Markdown would take for HTML, a cell, a link or emphasis.
_ESCAPES = str.maketrans({c: f'\\{c}' for c in '\\`*_~<|&['})


def to_markdown(sections: Iterable[Section]) -> str:
  """Returns a report in Markdown."""
  parts = []
  for section in sections:
    head, *rows = section.rows
    lines = (f'- {line.translate(_ESCAPES)}' for line in section.lines)
    table = (
      f'| {" | ".join(cell.translate(_ESCAPES) for cell in cells)} |'
      for cells in (head, ['---'] * len(head), *rows)
    )
    parts += [f'### {section.title}', '\n'.join(table), '\n'.join(lines)]
  return '\n\n'.join(filter(None, parts)) + '\n'


def _values(record: Any) -> tuple[Any, ...]:
  return tuple(vars(record).values())


def row(*values: str | float | Estimate | tuple[Any, ...] | None) -> list[str]:
  """Returns the cells of values; those of a tuple have a cell each."""
  cells: list[str] = []
  for value in values:
    if isinstance(value, Estimate):
      limits = f'[{figure(value.low)}, {figure(value.high)}]'
      cells += figure(value.value), limits
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


def deviations(spread: Mapping[Any, float | None]) -> dict[str, str]:
  """Returns the standard deviations that are known, by what they are between."""
  return {
    f'between {what.replace("_", " ")}': f'± {figure(found)}'
    for what, found in spread.items()
    if found is not None
  }
