# SPDX-License-Identifier: Apache-2.0
"""Limits on memory and CPU time are found wherever the system keeps them."""

from __future__ import annotations

import os
import pathlib
import resource
import secrets
import subprocess
import sys

import pytest

from cmnist_tfds.system import process_limits

_MIB = 1 << 20

# What the kernel writes for "no limit" in version 1.
_NO_LIMIT_1 = 9223372036854771712

_V2 = (
  '25 1 0:23 {root} {point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate'
)
_V1 = '33 1 0:31 {root} {point} rw - cgroup cgroup rw,{controllers}'


class System:
  """A made-up system: a folder with `proc` and `sys`."""

  def __init__(self, root: pathlib.Path):
    self.root = root
    self.write('proc/meminfo', 'MemTotal: 9 kB\nMemAvailable:  8192000 kB\n')

  def write(self, path, text):
    file = self.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)

  def in_v2(self, group, *, root='/', point='/sys/fs/cgroup'):
    self.write('proc/self/cgroup', f'0::{group}\n')
    self.write('proc/self/mountinfo', _V2.format(root=root, point=point) + '\n')

  def in_v1(self, memory, cpu='/', *, root='/', unified=False):
    self.write(
      'proc/self/cgroup',
      f'9:name=systemd:/\n4:memory:{memory}\n1:cpu,cpuacct:{cpu}\n'
      + ('0::/\n' if unified else ''),
    )
    mounts = [
      '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
      _V1.format(
        root=root, point='/sys/fs/cgroup/memory', controllers='memory'
      ),
      _V1.format(
        root='/', point='/sys/fs/cgroup/cpu,cpuacct', controllers='cpu,cpuacct'
      ),
      _V1.format(
        root='/', point='/sys/fs/cgroup/systemd', controllers='name=systemd'
      ),
    ]
    if unified:
      mounts.append(_V2.format(root='/', point='/sys/fs/cgroup/unified'))
    self.write('proc/self/mountinfo', '\n'.join(mounts) + '\n')

  def limit_2(self, group, limit, used=0, cached=0, high='max'):
    folder = f'sys/fs/cgroup{group}'
    self.write(f'{folder}/memory.max', f'{limit}\n')
    self.write(f'{folder}/memory.high', f'{high}\n')
    self.write(f'{folder}/memory.current', f'{used}\n')
    self.write(f'{folder}/memory.stat', f'anon 1\ninactive_file {cached}\n')

  def limit_1(self, group, limit, used=0, cached=0):
    folder = f'sys/fs/cgroup/memory{group}'
    self.write(f'{folder}/memory.limit_in_bytes', f'{limit}\n')
    self.write(f'{folder}/memory.usage_in_bytes', f'{used}\n')
    self.write(
      f'{folder}/memory.stat',
      f'inactive_file 7\ntotal_inactive_file {cached}\n',
    )

  def cpu_2(self, group, text):
    self.write(f'sys/fs/cgroup{group}/cpu.max', text + '\n')

  def cpu_1(self, group, quota, period=100_000):
    folder = f'sys/fs/cgroup/cpu,cpuacct{group}'
    self.write(f'{folder}/cpu.cfs_quota_us', f'{quota}\n')
    self.write(f'{folder}/cpu.cfs_period_us', f'{period}\n')

  def ulimit(self, name, limit, size):
    self.write(
      'proc/self/limits',
      'Limit                     Soft Limit  Hard Limit  Units     \n'
      'Max cpu time              unlimited   unlimited   seconds   \n'
      f'{name:<26}{limit:<12}unlimited   bytes     \n',
    )
    field = {'Max address space': 'VmSize', 'Max data size': 'VmData'}[name]
    self.write('proc/self/status', f'Name:\tx\n{field}:\t  {size} kB\n')

  @property
  def free(self):
    return process_limits.free_memory(self.root)

  @property
  def cores(self):
    return process_limits.usable_cores(self.root)


_ALL_OF_MACHINE = 8192000 * 1024


@pytest.fixture
def system(tmp_path):
  return System(tmp_path)


@pytest.fixture
def many_cores(monkeypatch):
  """Lets the process run on 64 cores."""
  for name, value in (
    ('process_cpu_count', lambda: 64),
    ('sched_getaffinity', lambda _: range(64)),
    ('cpu_count', lambda: 64),
  ):
    monkeypatch.setattr(os, name, value, raising=False)


# Memory ----------------------------------------------------------------------


def _v2_of_a_container(system):
  system.in_v2('/')
  system.limit_2('', 100 * _MIB, 40 * _MIB)
  return 60 * _MIB


def _v2_cached_files_are_free(system):
  system.in_v2('/')
  system.limit_2('', 100 * _MIB, 90 * _MIB, cached=70 * _MIB)
  return 80 * _MIB


def _v2_used_up(system):
  system.in_v2('/')
  system.limit_2('', 100 * _MIB, 101 * _MIB)
  return 0


def _v2_more_is_cached_than_used(system):
  system.in_v2('/')
  system.limit_2('', 100 * _MIB, 1 * _MIB, cached=2 * _MIB)
  return 100 * _MIB


def _v2_no_limit(system):
  system.in_v2('/')
  system.limit_2('', 'max', 40 * _MIB)
  return _ALL_OF_MACHINE


def _v2_above_the_machine(system):
  system.in_v2('/')
  system.limit_2('', 10**15)
  return _ALL_OF_MACHINE


def _v2_high(system):
  system.in_v2('/')
  system.limit_2('', 100 * _MIB, 10 * _MIB, high=50 * _MIB)
  return 40 * _MIB


def _v2_only_high(system):
  system.in_v2('/')
  system.limit_2('', 'max', 10 * _MIB, high=50 * _MIB)
  return 40 * _MIB


def _v2_of_slurm(system):
  system.in_v2('/system.slice/slurmstepd.scope/job_7/step_0/user/task_0')
  job = '/system.slice/slurmstepd.scope/job_7'
  system.limit_2(f'{job}/step_0/user/task_0', 'max', 5 * _MIB)
  system.limit_2(f'{job}/step_0/user', 'max', 5 * _MIB)
  system.limit_2(f'{job}/step_0', 200 * _MIB, 5 * _MIB)
  system.limit_2(job, 110 * _MIB, 30 * _MIB)
  return 80 * _MIB


def _v2_of_systemd(system):
  system.in_v2(
    '/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope'
  )
  system.limit_2('/user.slice/user-1000.slice', 300 * _MIB, 100 * _MIB)
  return 200 * _MIB


def _v2_tightest_is_the_innermost(system):
  system.in_v2('/a/b')
  system.limit_2('/a', 500 * _MIB, 10 * _MIB)
  system.limit_2('/a/b', 50 * _MIB, 10 * _MIB)
  return 40 * _MIB


def _v2_fullest_counts_not_the_least_limit(system):
  system.in_v2('/a/b')
  system.limit_2('/a', 500 * _MIB, 490 * _MIB)
  system.limit_2('/a/b', 50 * _MIB)
  return 10 * _MIB


def _v2_siblings_do_not_count(system):
  system.in_v2('/a/b')
  system.limit_2('/a/c', 1)
  system.limit_2('/a/b/c', 1)
  return _ALL_OF_MACHINE


def _v2_mounted_elsewhere(system):
  system.in_v2('/a', point='/run/my\\040groups')
  system.write('run/my groups/a/memory.max', f'{30 * _MIB}\n')
  return 30 * _MIB


def _v2_container_without_namespace(system):
  system.in_v2('/docker/abc/inner', root='/docker/abc')
  system.limit_2('/inner', 'max')
  system.limit_2('', 90 * _MIB, 10 * _MIB)
  return 80 * _MIB


def _v2_group_of_container_mounted_under_another_name(system):
  system.in_v2('/kubepods/pod1/abc', root='/other/abc')
  system.limit_2('', 90 * _MIB, 10 * _MIB)
  return 80 * _MIB


def _v2_group_outside_the_namespace(system):
  system.in_v2('/../../outside')
  system.limit_2('', 90 * _MIB)
  system.write('sys/outside/memory.max', '1\n')
  system.write('outside/memory.max', '1\n')
  return 90 * _MIB


def _v2_name_with_a_colon(system):
  system.in_v2('/dbus-:1.2-org.a@0.service')
  system.limit_2('/dbus-:1.2-org.a@0.service', 70 * _MIB)
  return 70 * _MIB


def _v2_group_was_removed(system):
  system.in_v2('/a/b (deleted)')
  system.limit_2('/a', 70 * _MIB)
  return 70 * _MIB


def _v2_without_the_controller(system):
  system.in_v2('/a')
  system.write('sys/fs/cgroup/a/cgroup.controllers', 'cpu\n')
  return _ALL_OF_MACHINE


def _v2_usage_is_unknown(system):
  system.in_v2('/')
  system.write('sys/fs/cgroup/memory.max', f'{30 * _MIB}\n')
  return 30 * _MIB


def _v1_of_a_container(system):
  system.in_v1('/docker/abc', root='/docker/abc')
  system.limit_1('', 100 * _MIB, 60 * _MIB, cached=10 * _MIB)
  return 50 * _MIB


def _v1_namespace(system):
  system.in_v1('/')
  system.limit_1('', 100 * _MIB, 60 * _MIB)
  return 40 * _MIB


def _v1_no_limit(system):
  system.in_v1('/')
  system.limit_1('', _NO_LIMIT_1, 60 * _MIB)
  return _ALL_OF_MACHINE


def _v1_of_slurm(system):
  system.in_v1('/slurm/uid_1/job_7/step_0/task_0')
  system.limit_1('', _NO_LIMIT_1, 10**12)
  system.limit_1('/slurm/uid_1/job_7/step_0/task_0', _NO_LIMIT_1)
  system.limit_1('/slurm/uid_1/job_7/step_0', 200 * _MIB)
  system.limit_1('/slurm/uid_1/job_7', 110 * _MIB, 30 * _MIB)
  return 80 * _MIB


def _hybrid_limit_in_v1(system):
  system.in_v1('/a', unified=True)
  system.limit_1('/a', 100 * _MIB)
  system.write('sys/fs/cgroup/unified/cgroup.procs', '1\n')
  return 100 * _MIB


def _hybrid_limit_in_v2(system):
  system.in_v1('/', unified=True)
  system.limit_1('', _NO_LIMIT_1)
  system.write('sys/fs/cgroup/unified/memory.max', f'{90 * _MIB}\n')
  return 90 * _MIB


def _ulimit_of_address_space(system):
  system.ulimit('Max address space', 100 * _MIB, 40 * 1024)
  return 60 * _MIB


def _ulimit_of_data(system):
  system.ulimit('Max data size', 100 * _MIB, 90 * 1024)
  return 10 * _MIB


def _ulimit_below_what_is_used(system):
  system.ulimit('Max address space', 100 * _MIB, 400 * 1024)
  return 0


def _ulimit_unlimited(system):
  system.ulimit('Max address space', 'unlimited', 40 * 1024)
  return _ALL_OF_MACHINE


def _ulimit_is_tighter_than_the_group(system):
  _v2_of_a_container(system)
  system.ulimit('Max address space', 50 * _MIB, 40 * 1024)
  return 10 * _MIB


def _machine_is_tighter_than_the_group(system):
  _v2_of_a_container(system)
  system.write('proc/meminfo', 'MemAvailable: 1024 kB\n')
  return _MIB


def _machine_unknown_group_known(system):
  _v2_of_a_container(system)
  (system.root / 'proc/meminfo').unlink()
  return 60 * _MIB


def _no_mountinfo(system):
  _v2_of_a_container(system)
  (system.root / 'proc/self/mountinfo').unlink()
  return _ALL_OF_MACHINE


def _no_cgroup(system):
  _v2_of_a_container(system)
  (system.root / 'proc/self/cgroup').unlink()
  return _ALL_OF_MACHINE


def _nothing_at_all(system):
  (system.root / 'proc/meminfo').unlink()


@pytest.mark.parametrize(
  'arrange',
  [
    value
    for name, value in dict(globals()).items()
    if name.startswith(('_v1_', '_v2_', '_hybrid_', '_ulimit_', '_machine_'))
    or name in ('_no_mountinfo', '_no_cgroup', '_nothing_at_all')
  ],
  ids=lambda arrange: arrange.__name__.strip('_'),
)
def test_surrounding_memory(system, arrange):
  expected = arrange(system)
  assert system.free == expected


_MALFORMED = (
  '',
  '\n',
  'max',
  '-1',
  '1e9',
  '12 34',
  'unlimited',
  '\x00',
  '9' * 5000,
  '١٢',
)


@pytest.mark.parametrize('text', _MALFORMED, ids=repr)
def test_surrounding_malformed_memory_limit(system, text):
  system.in_v2('/a')
  system.limit_2('/a', text, high=text)
  assert system.free == _ALL_OF_MACHINE
  system.in_v1('/a')
  system.limit_1('/a', text)
  assert system.free == _ALL_OF_MACHINE


@pytest.mark.parametrize('text', _MALFORMED, ids=repr)
def test_surrounding_malformed_usage_counts_as_none(system, text):
  system.in_v2('/a')
  system.limit_2('/a', 5 * _MIB, text, text)
  assert system.free == 5 * _MIB


@pytest.mark.parametrize(
  'file',
  [
    'proc/self/cgroup',
    'proc/self/mountinfo',
    'proc/meminfo',
    'proc/self/limits',
    'proc/self/status',
  ],
)
@pytest.mark.parametrize(
  'data',
  [b'', b'\xff\xfe\n', b'::\n', b'0::\n- - -\n', b'x\n' * 3, b'\x00' * 50],
  ids=repr,
)
def test_surrounding_malformed_proc_file(system, file, data):
  path = system.root / file
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(data)
  expected = None if file == 'proc/meminfo' else _ALL_OF_MACHINE
  assert system.free == expected
  assert system.cores >= 1


def test_surrounding_folder_instead_of_a_file(system):
  system.in_v2('/')
  (system.root / 'sys/fs/cgroup/memory.max').mkdir(parents=True)
  (system.root / 'sys/fs/cgroup/cpu.max').mkdir(parents=True)
  assert system.free == _ALL_OF_MACHINE
  assert system.cores == len(os.sched_getaffinity(0))


# CPU time --------------------------------------------------------------------


@pytest.mark.parametrize(
  ('text', 'cores'),
  [
    ('200000 100000', 2),
    ('150000 100000', 2),
    ('50000 100000', 1),
    ('1000 100000', 1),
    ('800000 200000', 4),
    ('max 100000', 64),
    ('9900000 100000', 64),
    ('', 64),
    ('max', 64),
    ('0 100000', 64),
    ('100000 0', 64),
    ('100000', 64),
    ('nonsense 100000', 64),
  ],
)
@pytest.mark.usefixtures('many_cores')
def test_surrounding_quota_of_v2(system, text, cores):
  system.in_v2('/job')
  system.cpu_2('/job', text)
  assert system.cores == cores


@pytest.mark.parametrize(
  ('quota', 'period', 'cores'),
  [
    (-1, 100_000, 64),
    (300_000, 100_000, 3),
    (250_000, 100_000, 3),
    (10_000, 100_000, 1),
    (300_000, '', 64),
    ('', 100_000, 64),
  ],
)
@pytest.mark.usefixtures('many_cores')
def test_surrounding_quota_of_v1(system, quota, period, cores):
  system.in_v1('/', '/job')
  system.cpu_1('/job', quota, period)
  assert system.cores == cores


@pytest.mark.usefixtures('many_cores')
def test_surrounding_quota_of_an_outer_group(system):
  system.in_v2('/a/b/c')
  system.cpu_2('/a/b/c', 'max 100000')
  system.cpu_2('/a/b', '800000 100000')
  system.cpu_2('/a', '300000 100000')
  assert system.cores == 3


@pytest.mark.usefixtures('many_cores')
def test_surrounding_quota_of_a_hybrid_system(system):
  system.in_v1('/', '/job', unified=True)
  system.cpu_1('/job', 500_000)
  assert system.cores == 5


def test_surrounding_affinity(system, monkeypatch):
  monkeypatch.delattr(os, 'process_cpu_count', raising=False)
  monkeypatch.setattr(os, 'cpu_count', lambda: 64)
  monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5, 9})
  assert system.cores == 3


def test_surrounding_without_affinity(system, monkeypatch):
  monkeypatch.delattr(os, 'process_cpu_count', raising=False)
  monkeypatch.delattr(os, 'sched_getaffinity')
  monkeypatch.setattr(os, 'cpu_count', lambda: 6)
  assert system.cores == 6


def test_surrounding_number_of_cores_is_unknown(system, monkeypatch):
  monkeypatch.delattr(os, 'process_cpu_count', raising=False)
  monkeypatch.delattr(os, 'sched_getaffinity')
  monkeypatch.setattr(os, 'cpu_count', lambda: None)
  assert system.cores == 1


# Real limits -----------------------------------------------------------------


_LOAD = """
import sys
import cmnist_tfds
from cmnist_tfds.system import errors, process_limits
print(process_limits.free_memory(), process_limits.usable_cores())
"""


def _run(prepare=None):
  done = subprocess.run(
    [sys.executable, '-c', _LOAD],
    stdout=subprocess.PIPE,
    check=True,
    text=True,
    preexec_fn=prepare,
  )
  return [int(text) for text in done.stdout.split()]


def _own_group(controller):
  """Returns the real folder of this process's group, and its version."""
  for line in pathlib.Path('/proc/self/cgroup').read_text().splitlines():
    number, controllers, path = line.split(':', 2)
    for version, folder in (
      (2, '/sys/fs/cgroup'),
      (1, f'/sys/fs/cgroup/{controllers}'),
    ):
      of_version = (
        not controllers
        if version == 2
        else controller in (controllers.split(','))
      )
      group = pathlib.Path(folder + path)
      if of_version and number and (group / 'cgroup.procs').exists():
        yield group, version


@pytest.fixture(params=['memory', 'cpu'])
def real_group(request):
  """A new control group in a new one, the outer one of which has a limit."""
  limits = {
    ('memory', 1): {'memory.limit_in_bytes': f'{110 * _MIB}'},
    ('memory', 2): {'memory.max': f'{110 * _MIB}'},
    ('cpu', 1): {'cpu.cfs_quota_us': '100000', 'cpu.cfs_period_us': '100000'},
    ('cpu', 2): {'cpu.max': '100000 100000'},
  }
  refused = 'this process has no control group of its own'
  for group, version in _own_group(request.param):
    outer = group / f'cmnist-test-{secrets.token_hex(4)}'
    inner = outer / 'inner'
    try:
      inner.mkdir(parents=True)
      for name, text in limits[request.param, version].items():
        (outer / name).write_text(text)
    except OSError as error:
      refused = str(error)
      continue
    else:
      yield request.param, inner
      return
    finally:
      for folder in (inner, outer):
        if folder.exists():
          folder.rmdir()
  pytest.skip(f'control groups cannot be made here: {refused}')


def test_surrounding_real_control_group(real_group):
  controller, inner = real_group
  procs = os.open(inner / 'cgroup.procs', os.O_WRONLY)
  try:
    free, cores = _run(lambda: os.write(procs, b'0'))
  finally:
    os.close(procs)
  if controller == 'memory':
    assert 0 < free < 110 * _MIB
  else:
    assert cores == 1


def test_surrounding_real_ulimit():
  limit = 4 << 30
  free, _ = _run(lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
  assert 0 < free < limit


def test_surrounding_real_affinity():
  core = min(os.sched_getaffinity(0))
  _, cores = _run(lambda: os.sched_setaffinity(0, {core}))
  assert cores == 1
