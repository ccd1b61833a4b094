# SPDX-License-Identifier: Apache-2.0
"""Runs commands of `cmnist`, each in a process of its own, within milliseconds.

A command started on its own spends most of its time importing. This module is
also the program that imports everything once and forks for each command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import pathlib
import pkgutil
import resource
import signal
import subprocess
import sys
import traceback

_CHANGES = {'os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'os.link'}


@dataclasses.dataclass(frozen=True)
class Done:
  """What came of a command: its exit status and what it printed."""

  status: int
  out: str
  err: str

  @property
  def error(self) -> str:
    """The error: the only line on stderr, but for warnings."""
    lines = self.err.splitlines()
    (line,) = [line for line in lines if 'warning: ' not in line]
    assert line.startswith('cmnist')
    return line


class Commands:
  """The process that forks one for each command."""

  def __init__(self, folder: pathlib.Path, cache_dir: pathlib.Path) -> None:
    """Starts it; commands run in `folder` unless told otherwise."""
    self._folder = folder
    self._process = subprocess.Popen(
      [sys.executable, __file__],
      env={
        **os.environ,
        'PYTHONPATH': os.pathsep.join(sys.path),
        'CMNIST_CACHE_DIR': str(cache_dir),
      },
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def run(self, *argv: object, **options: object) -> Done:
    """Runs one command; see `together` for the options."""
    (done,) = self.together(argv, **options)
    return done

  def works(self, *argv: object, **options: object) -> str:
    """Runs one command, which must not fail, and returns what it printed."""
    done = self.run(*argv, **options)
    assert done.status == 0, done.err
    return done.out

  def together(
    self,
    *commands: tuple[object, ...],
    cwd: object = None,
    kill_at: int = 0,
    within: object = '/',
    largest_file: int = 0,
    **env: object,
  ) -> list[Done]:
    """Runs commands at the same time.

    Args:
      *commands: The arguments of each.
      cwd: The working directory.
      kill_at: Kills a command before its n-th change within a folder: making,
        renaming, removing or opening a file for writing.
      within: That folder.
      largest_file: No file may have more bytes, as if a disk were full.
      **env: Changes of the environment; None removes a variable.
    """
    request = {
      'commands': [[str(arg) for arg in argv] for argv in commands],
      'cwd': str(cwd or self._folder),
      'kill_at': kill_at,
      'within': str(within),
      'largest_file': largest_file,
      'env': {k: None if v is None else str(v) for k, v in env.items()},
      'printed': str(self._folder / 'printed'),
    }
    self._process.stdin.write(f'{json.dumps(request)}\n')
    self._process.stdin.flush()
    done = [Done(*d) for d in json.loads(self._process.stdout.readline())]
    for each in done:
      assert 'Traceback' not in each.err, each.err
    return done

  def close(self) -> None:
    """Ends the process."""
    self._process.stdin.close()
    self._process.wait()


def _kill_at(number: int, within: str) -> None:
  """Makes this process kill itself before its n-th change in a folder."""
  left = number

  def hook(event: str, args: tuple[object, ...]) -> None:
    nonlocal left
    if event == 'open':
      if not args[2] & (os.O_WRONLY | os.O_RDWR):
        return
    elif event not in _CHANGES:
      return
    if not isinstance(args[0], (str, bytes, os.PathLike)):
      return
    path = os.fsdecode(args[0])
    # While a folder is removed, its files are named relative to it.
    if path.startswith(within) or not os.path.isabs(path):
      left -= 1
      if not left:
        os.kill(os.getpid(), signal.SIGKILL)

  sys.addaudithook(hook)


def _run(request: dict[str, object], argv: list[str]) -> int:
  """Runs a command in the process that was forked for it."""
  from cmnist_tfds import cli

  os.chdir(request['cwd'])
  for name, value in request['env'].items():
    os.environ.pop(name, None)
    if value is not None:
      os.environ[name] = value
  if request['largest_file']:
    limit = request['largest_file']
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
  if request['kill_at']:
    _kill_at(request['kill_at'], request['within'])
  try:
    return cli.main(argv)
  except SystemExit as stopped:
    return stopped.code or 0


def _fork(request: dict[str, object], argv: list[str], printed: str) -> int:
  child = os.fork()
  if child:
    return child
  flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
  for stream, name in ((1, 'out'), (2, 'err')):
    os.dup2(os.open(f'{printed}.{name}', flags), stream)
  try:
    status = _run(request, argv)
    sys.stdout.flush()
    sys.stderr.flush()
  except BaseException:
    traceback.print_exc()
    status = 70
  os._exit(status)


def _import_everything() -> None:
  """Imports what commands import, but nothing that takes seconds."""
  import tensorflow_datasets  # noqa: F401

  import cmnist_tfds

  heavy = ('__main__', 'beam', 'network', 'templates', 'torch', 'training')
  for module in pkgutil.walk_packages(cmnist_tfds.__path__, 'cmnist_tfds.'):
    if not any(word in module.name for word in heavy):
      # It may need an extra that is not installed.
      with contextlib.suppress(ImportError):
        importlib.import_module(module.name)
  for name in ('jinja2', 'mlcroissant', 'PIL.Image', 'pyarrow.parquet'):
    with contextlib.suppress(ImportError):
      importlib.import_module(name)


def _serve() -> None:
  _import_everything()
  for line in sys.stdin:
    request = json.loads(line)
    names = [
      f'{request["printed"]}-{n}' for n in range(len(request['commands']))
    ]
    children = [
      _fork(request, argv, name)
      for argv, name in zip(request['commands'], names, strict=True)
    ]
    statuses = [os.waitpid(child, 0)[1] for child in children]
    done = []
    for status, name in zip(statuses, names, strict=True):
      printed = []
      for stream in ('out', 'err'):
        path = pathlib.Path(f'{name}.{stream}')
        printed.append(path.read_text('utf-8'))
        with contextlib.suppress(OSError):
          path.unlink()
      done.append((os.waitstatus_to_exitcode(status), *printed))
    print(json.dumps(done), flush=True)


if __name__ == '__main__':
  _serve()
