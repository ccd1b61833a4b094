# SPDX-License-Identifier: Apache-2.0
"""Prints the layers of the package and what each imports, lowest first.

    python scripts/check_layers.py

A layer is a folder or a module at the top of the package. Exits with 1 where one
imports a layer above it, or is not in the list.
"""

from __future__ import annotations

import ast
import collections
import importlib.util
import pathlib
import sys

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent / 'cmnist_tfds'

# Each may import those before it. CONTRIBUTING.md says what they hold.
_LAYERS = (
  'system',
  'sources',
  'subsets',
  'schema',
  'formats',
  'origin',
  'sample',
  'cache',
  'load',
  'datasets',
  'figures',
  'scoring',
  'export',
  'catalog',
  'tfds_pr',
  'build',
  'cli',
)


def _imports() -> dict[str, collections.Counter[str]]:
  """Returns for each layer how often it imports each other one."""
  found: dict[str, collections.Counter[str]] = {}
  for path in sorted(_PACKAGE.rglob('*.py')):
    layer = path.relative_to(_PACKAGE).parts[0].removesuffix('.py')
    # The package itself and its command stand above all layers; templates are
    # modules of another package.
    if layer.startswith('__') or 'templates' in path.parts:
      continue
    counted = found.setdefault(layer, collections.Counter())
    folder = '.'.join(path.relative_to(_PACKAGE.parent).parent.parts)
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
      for name in _modules(node, folder):
        package, *rest = name.split('.')
        if package == _PACKAGE.name and rest:
          counted[rest[0]] += 1
    counted.pop(layer, None)
  return found


def _modules(node: ast.AST, folder: str) -> list[str]:
  """Returns the modules, or names in them, that a statement imports."""
  if isinstance(node, ast.Import):
    return [alias.name for alias in node.names]
  if isinstance(node, ast.ImportFrom):
    relative = '.' * node.level + (node.module or '')
    module = importlib.util.resolve_name(relative, folder)
    return [f'{module}.{alias.name}' for alias in node.names]
  return []


def main() -> int:
  """Prints the layers; returns the exit status."""
  found = _imports()
  faults = [
    f'not in the list of layers: {n}' for n in found.keys() - {*_LAYERS}
  ]
  order = [layer for layer in _LAYERS if layer in found]
  for layer in order:
    imported = sorted(found[layer].keys() & {*order}, key=order.index)
    print(f'{layer:<14} {" ".join(imported)}'.rstrip())
    faults += [
      f'imports a layer above it: {layer} -> {other}'
      for other in imported
      if order.index(other) > order.index(layer)
    ]
  for fault in faults:
    print(fault, file=sys.stderr)
  return 1 if faults else 0


if __name__ == '__main__':
  sys.exit(main())
