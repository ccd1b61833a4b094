# SPDX-License-Identifier: Apache-2.0
"""Prints the rooms of the package and what each imports, lowest first.

    python scripts/show_rooms.py

A room is a folder or a module at the top of the package. Exits with 1 where an
import runs back up the road from name to batch.
"""

from __future__ import annotations

import ast
import collections
import pathlib
import sys

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent / 'cmnist_tfds'

# Each room may import those before it.
ROAD = (
  'system',
  'sources',
  'subsets',
  'schema',
  'formats',
  'origin',
  'sample',
  'cache',
  'datasets',
  'load',
  'scoring',
  'export',
  'figures',
  'catalog',
  'tfds_pr',
  'build',
  'cli',
)


def imports() -> dict[str, collections.Counter[str]]:
  """Returns for each room how often it imports each other room."""
  found: dict[str, collections.Counter[str]] = {
    room: collections.Counter() for room in ROAD
  }
  for path in _PACKAGE.rglob('*.py'):
    room = path.relative_to(_PACKAGE).parts[0].removesuffix('.py')
    # The package itself and its command stand above the road; templates are
    # modules of another package.
    if room.startswith('__') or 'templates' in path.parts:
      continue
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
      if isinstance(node, ast.ImportFrom) and node.module:
        package, _, rest = node.module.partition('.')
        if package == _PACKAGE.name:
          names = [rest] if rest else [alias.name for alias in node.names]
          found[room].update(name.partition('.')[0] for name in names)
    found[room].pop(room, None)
  return found


def upward(found: dict[str, collections.Counter[str]]) -> list[str]:
  """Returns the imports that run back up the road, as '<room> -> <room>'."""
  return [
    f'{room} -> {imported}'
    for room, counted in found.items()
    for imported in counted
    if ROAD.index(imported) > ROAD.index(room)
  ]


def main() -> int:
  """Prints the rooms; returns the exit status."""
  found = imports()
  for room in ROAD:
    ordered = sorted(found[room], key=ROAD.index)
    print(f'{room:<14} {" ".join(ordered)}'.rstrip())
  for wrong in upward(found):
    print(f'runs back up: {wrong}', file=sys.stderr)
  return 1 if upward(found) else 0


if __name__ == '__main__':
  sys.exit(main())
