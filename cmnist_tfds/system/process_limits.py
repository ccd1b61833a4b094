# SPDX-License-Identifier: Apache-2.0
"""How much memory and how many CPU cores the system lets this process use.

Containers, batch systems such as Slurm, and systemd limit processes by control
groups. A limit of any group between that of the process and the root holds, so
the tightest one counts. Version 1 of control groups has a tree for each
controller, version 2 has one tree, and a system may use both.

A file that is missing, unreadable or malformed sets no limit.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

_ROOT = pathlib.Path('/')

# Version 1 of control groups says "no limit" by a number near 2**63.
_UNLIMITED = 1 << 60

# What `ulimit` limits, and what counts towards the limit.
_ULIMITS = {'Max address space': 'VmSize', 'Max data size': 'VmData'}

_Limit = TypeVar('_Limit', int, float)


@dataclasses.dataclass(frozen=True)
class _Mount:
  """A tree of control groups, as far as a mount point shows it.

  Attributes:
    point: The folder at which the group `root` is found.
    root: The names on the way from the root of the tree to that group.
    controllers: The controllers of a tree of version 1; None for version 2.
  """

  point: pathlib.Path
  root: tuple[str, ...]
  controllers: frozenset[str] | None


def free_memory(root: pathlib.Path = _ROOT) -> int | None:
  """Returns how many bytes of memory this process can still allocate.

  That is the least of what the machine has, what each control group leaves, and
  what `ulimit` leaves. Cached files count as free, because the system drops
  them if memory is short.

  Args:
    root: The folder that holds `proc` and `sys`.

  Returns:
    The number of bytes; None if it is not known.
  """
  limits = [
    _kibibytes(_text(root / 'proc/meminfo'), 'MemAvailable'),
    _tightest(root, 'memory', _free_memory_1, _free_memory_2),
  ]
  ulimits = _text(root / 'proc/self/limits')
  status = _text(root / 'proc/self/status')
  for name, used in _ULIMITS.items():
    found = re.search(rf'^{name} +(\d{{1,20}}) ', ulimits, re.MULTILINE)
    if found:
      limits.append(max(int(found[1]) - (_kibibytes(status, used) or 0), 0))
  return min((limit for limit in limits if limit is not None), default=None)


def usable_cores(root: pathlib.Path = _ROOT) -> int:
  """Returns how many threads of this process can compute at the same time.

  A machine has more cores than a container, a batch job or `taskset` lets a
  process use. More threads than this number only wait for one another.

  Args:
    root: The folder that holds `proc` and `sys`.

  Returns:
    The number of cores, at least 1. A part of a core counts as a whole one.
  """
  if hasattr(os, 'process_cpu_count'):  # Python 3.13
    cores = os.process_cpu_count()
  elif hasattr(os, 'sched_getaffinity'):  # Linux
    cores = len(os.sched_getaffinity(0))
  else:
    cores = os.cpu_count()
  quota = _tightest(root, 'cpu', _cpu_quota_1, _cpu_quota_2)
  granted = math.inf if quota is None else math.ceil(quota)
  return int(max(min(cores or 1, granted), 1))


def _tightest(
  root: pathlib.Path,
  controller: str,
  limit_1: Callable[[pathlib.Path], _Limit | None],
  limit_2: Callable[[pathlib.Path], _Limit | None],
) -> _Limit | None:
  """Returns the least limit of the groups of this process."""
  limits = [
    (limit_2 if mount.controllers is None else limit_1)(folder)
    for mount, folder in _groups(root, controller)
  ]
  return min((limit for limit in limits if limit is not None), default=None)


def _free_memory_1(group: pathlib.Path) -> int | None:
  limit = _number(_text(group / 'memory.limit_in_bytes'))
  if limit is None or limit >= _UNLIMITED:
    return None
  return _left(group, limit, 'memory.usage_in_bytes', 'total_inactive_file')


def _free_memory_2(group: pathlib.Path) -> int | None:
  # Above `high` the system slows the process down until it all but stands.
  limits = (
    _number(_text(group / f'memory.{name}')) for name in ('max', 'high')
  )
  limit = min((n for n in limits if n is not None), default=None)
  if limit is None:
    return None
  return _left(group, limit, 'memory.current', 'inactive_file')


def _left(group: pathlib.Path, limit: int, usage: str, cached: str) -> int:
  used = _number(_text(group / usage)) or 0
  found = re.search(
    rf'^{cached} (\d{{1,20}})$', _text(group / 'memory.stat'), re.MULTILINE
  )
  used -= int(found[1]) if found else 0
  return max(limit - max(used, 0), 0)


def _cpu_quota_1(group: pathlib.Path) -> float | None:
  return _cores(
    _text(group / 'cpu.cfs_quota_us'), _text(group / 'cpu.cfs_period_us')
  )


def _cpu_quota_2(group: pathlib.Path) -> float | None:
  quota, _, period = _text(group / 'cpu.max').strip().partition(' ')
  return _cores(quota, period)


def _cores(quota: str, period: str) -> float | None:
  """Returns the microseconds of CPU time in each microsecond of a period."""
  granted, interval = _number(quota), _number(period)
  return granted / interval if granted and interval else None


def _groups(
  root: pathlib.Path, controller: str
) -> Iterator[tuple[_Mount, pathlib.Path]]:
  """Yields the folders of the groups of this process, the innermost first."""
  mounts = list(_mounts(root))
  for line in _text(root / 'proc/self/cgroup').splitlines():
    number, _, rest = line.partition(':')
    controllers, _, path = rest.partition(':')
    is_version_2 = number == '0' and not controllers
    if not is_version_2 and controller not in controllers.split(','):
      continue
    group = _parts(path)
    for mount in mounts:
      if is_version_2 != (mount.controllers is None):
        continue
      if mount.controllers is not None and controller not in mount.controllers:
        continue
      depth = len(mount.root)
      # A container may show only its own group, under a name that differs from
      # the one that the process has outside.
      within = group[depth:] if group[:depth] == mount.root else ()
      for length in range(len(within), -1, -1):
        yield mount, mount.point.joinpath(*within[:length])


def _mounts(root: pathlib.Path) -> Iterator[_Mount]:
  """Yields the mounted trees of control groups."""
  for line in _text(root / 'proc/self/mountinfo').splitlines():
    of_mount, _, of_system = line.partition(' - ')
    fields, kind = of_mount.split(' '), of_system.split(' ')
    if len(fields) < 5 or len(kind) < 3:
      continue
    point = root.joinpath(*_parts(_unescaped(fields[4])))
    group = _parts(_unescaped(fields[3]))
    if kind[0] == 'cgroup':
      yield _Mount(point, group, frozenset(kind[2].split(',')))
    elif kind[0] == 'cgroup2':
      yield _Mount(point, group, None)


def _parts(path: str) -> tuple[str, ...]:
  """Returns the names in a path of a group.

  A group outside the namespace of the process begins with `..`. Its place is
  not visible, so that the path must not be followed.
  """
  parts = tuple(part for part in path.split('/') if part not in ('', '.'))
  return () if '..' in parts else parts


def _unescaped(text: str) -> str:
  r"""Returns a field of `mountinfo`, in which `\040` stands for a space."""
  return re.sub(r'\\([0-7]{3})', lambda found: chr(int(found[1], 8)), text)


def _kibibytes(text: str, field: str) -> int | None:
  """Returns a field such as `VmSize:    1000 kB`, in bytes."""
  found = re.search(rf'^{field}:\s*(\d{{1,20}}) kB$', text, re.MULTILINE)
  return int(found[1]) * 1024 if found else None


def _number(text: str) -> int | None:
  """Returns a number of 0 or more; None for all other texts, such as 'max'."""
  text = text.strip()
  return int(text) if re.fullmatch('[0-9]{1,20}', text) else None


def _text(path: pathlib.Path) -> str:
  """Returns the text of a file; an empty one if it cannot be read."""
  try:
    return path.read_text('utf-8', 'surrogateescape')
  except OSError:
    return ''
