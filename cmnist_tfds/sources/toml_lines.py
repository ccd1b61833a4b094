# SPDX-License-Identifier: Apache-2.0
"""Finds the lines of the fields of a TOML file, which parsers do not tell.

It reads files that a parser has accepted, and only where a field is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# A field, by the tables and fields around it. Items of arrays are numbered from
# 0 if they are tables with a header, and from 1 in a value.
_Path = tuple[str | int, ...]

# Text in which brackets, commas and line ends do not count.
_OPAQUE = re.compile(
  r'"""(?:\\.|[^\\])*?"""+|'
  r"'''.*?'''+|"
  r'"(?:\\.|[^"\\\n])*"|'
  r"'[^'\n]*'|#[^\n]*",
  re.DOTALL,
)
_PART = re.compile(r'"((?:\\.|[^"\\])*)"|' r"'([^']*)'|([\w-]+)", re.ASCII)


def lines(text: str) -> dict[_Path, int]:
  """Returns the line, from 1, of each field, table and item of an array."""
  # Line ends are kept, so the lines of both texts correspond.
  plain = _OPAQUE.sub(lambda m: re.sub(r'[^\n]', 'x', m[0]), text)
  found: dict[_Path, int] = {(): 1}
  numbers: dict[_Path, int] = {}
  table: _Path = ()
  at = 0
  while at < len(plain):
    end = _end_of_statement(plain, at)
    line = plain.count('\n', 0, at) + 1
    statement = plain[at:end]
    if statement.lstrip().startswith('['):
      keys = tuple(_keys(text[at:end].strip().strip('[] \t')))
      table = _numbered(keys, numbers, new='[[' in statement)
      found.setdefault(table, line)
    elif '=' in statement and not text[at:end].lstrip().startswith('#'):
      equals = statement.index('=')
      path = (*table, *_keys(text[at : at + equals]))
      found.setdefault(path, line)
      for number, offset in enumerate(_items(statement[equals + 1 :]), 1):
        item_path = (*path, str(number))
        found[item_path] = plain.count('\n', 0, at + equals + 1 + offset) + 1
    at = end + 1
  return found


def nearest(
  found: Mapping[_Path, int], number: int, path: tuple[str, ...]
) -> int:
  """Returns the line of a field of a source, or of the table that lacks it.

  Args:
    found: What `lines` returns.
    number: Number of the source in the file, from 0.
    path: The field, with the tables around it.
  """
  # Tables with a header number the items of an array from 0.
  numbered = tuple(int(p) - 1 if p.isdecimal() else p for p in path)
  shared = {p[0] for p in found if len(p) == 1}
  for length in range(len(path), 0, -1):
    for tried in (path[:length], numbered[:length]):
      for place in (('source', number, *tried), tried):
        if place in found and (place[0] == 'source' or place[0] in shared):
          return found[place]
  return found.get(('source', number), 1)


def _end_of_statement(plain: str, start: int) -> int:
  """Returns where the line, or the value of several lines, ends."""
  depth = 0
  for match in re.compile(r'[\[\]{}\n]').finditer(plain, start):
    if match[0] == '\n':
      if depth == 0:
        return match.start()
    else:
      depth += 1 if match[0] in '[{' else -1
  return len(plain)


def _keys(written: str) -> Iterator[str]:
  for match in _PART.finditer(written):
    yield match[1] or match[2] or match[3] or ''


def _numbered(keys: _Path, numbers: dict[_Path, int], *, new: bool) -> _Path:
  """Returns the path of a header, with the numbers of arrays of tables."""
  path: _Path = ()
  for depth, key in enumerate(keys, start=1):
    path = (*path, key)
    if new and depth == len(keys):
      numbers[path] = numbers.get(path, -1) + 1
    if path in numbers:
      path = (*path, numbers[path])
  return path


def _items(value: str) -> Iterator[int]:
  """Yields where the items of an array begin in its text."""
  if not value.lstrip().startswith('['):
    return
  depth = 0
  begins = False
  for offset, character in enumerate(value):
    if begins and not character.isspace() and character != ']':
      yield offset
      begins = False
    if character in '[{':
      depth += 1
      begins = begins or depth == 1
    elif character in ']}':
      depth -= 1
    elif character == ',' and depth == 1:
      begins = True
