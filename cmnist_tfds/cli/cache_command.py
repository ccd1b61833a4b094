# SPDX-License-Identifier: Apache-2.0
"""List, measure, check or clear the cache, which all subsets share."""

import collections

from cmnist_tfds.cache import store
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.system.errors import counted

# What each action does, and what it says of the entries it has found.
_ACTIONS = {
  'list': (store.entries, 'in'),
  'size': (store.entries, 'in'),
  'check': (store.check, 'damaged and deleted from'),
  'clear': (store.clear, 'deleted from'),
}

ARGUMENTS = {
  'action': {
    'nargs': '?',
    'choices': tuple(_ACTIONS),
    'default': 'list',
    'help': 'list the entries (the default), print the bytes of each kind, delete'
    ' those that are damaged, or all; they are made again when needed',
  },
  '--kind KIND': {
    'choices': tuple(store.KINDS),
    'help': 'only entries of this kind: '
    + '; '.join(f'{kind} ({what})' for kind, what in store.KINDS.items()),
  },
  **arguments.printed('text', 'json'),
}


def run(args: arguments.Namespace) -> int:
  """Runs the command; returns its exit status."""
  find, done = _ACTIONS[args.action]
  entries = find(args.kind)
  num_bytes = collections.Counter[str]()
  for entry in entries:
    num_bytes[entry.kind] += entry.num_bytes
  sizes = args.action == 'size'
  if args.format == 'json':
    terminal.print_json(num_bytes if sizes else entries)
  else:
    # What an entry holds can be long, so it comes last.
    rows = [(e.kind, e.num_bytes, e.description) for e in entries]
    terminal.print_table([*num_bytes.items()] if sizes else rows)
    found = counted(len(entries), 'entry')
    total = counted(num_bytes.total(), 'byte')
    print(f'{found}, {total} {done} {store.cache_dir()}')
  return int(args.action == 'check' and bool(entries))
