# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that write on all kinds of targets; prints a table.

    python tests/programs/output_targets.py

The table says of each command and target whether the command wrote or refused
and what became of the user's files. Exits with 1 if any was lost or changed, or
if a command did other than it should.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import synthetic

from cmnist_tfds import cli, sources
from cmnist_tfds.system import atomic

_NAME = '2-FKd'
_DATASET = f'data/cmnist_sample/{_NAME}/1.0.0'
_MINE = 'years of work'

WRITTEN = 'written'
REFUSED = 'refused'


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a command did to a target.

  Attributes:
    done: `WRITTEN` or `REFUSED`.
    errors: What it printed on stderr.
    kept: The number of files of the user's that it left as they were.
    lost: The files that it changed or removed and should not have.
    left: The files that it left behind though it refused.
  """

  done: str
  errors: str
  kept: int
  lost: list[str]
  left: list[str]


@dataclasses.dataclass(frozen=True)
class Target:
  """A kind of target.

  Attributes:
    place: Makes the target, given a folder, the command and what commands wrote
      earlier; returns the argument that names it.
    expected: What the command should do.
  """

  place: Callable[[pathlib.Path, str, Earlier], object]
  expected: str


@dataclasses.dataclass(frozen=True)
class Earlier:
  """What commands wrote earlier.

  Attributes:
    data_dir: A prepared subset.
    outputs: The folder that each command wrote.
  """

  data_dir: pathlib.Path
  outputs: dict[str, pathlib.Path]


# Commands that write a folder.
FOLDERS = {
  'publish': ['publish', _NAME],
  'croissant': ['croissant', _NAME],
  'catalog': ['catalog'],
  'export': ['export', _NAME, '--format', 'idx'],
  'tfds-pr': ['tfds-pr'],
}
_FIRST = {
  'publish': 'README.md',
  'croissant': 'croissant.json',
  'catalog': 'index.html',
  'export': 'train-labels-idx1-ubyte',
  'tfds-pr': 'tensorflow_datasets/datasets/cmnist/TAGS.txt',
}


def _write(folder: pathlib.Path, *paths: str) -> pathlib.Path:
  for path in paths:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'{_MINE}, cmnist_tfds')
  return folder


def _link(path: pathlib.Path, target: str) -> pathlib.Path:
  path.symlink_to(target)
  return path


def _fifo(path: pathlib.Path) -> pathlib.Path:
  os.mkfifo(path)
  return path


def _folder(path: pathlib.Path) -> pathlib.Path:
  path.mkdir()
  return path


def _copy(root: pathlib.Path, command: str, earlier: Earlier) -> pathlib.Path:
  return shutil.copytree(earlier.outputs[command], root / 'out')


def _edited(root: pathlib.Path, command: str, earlier: Earlier) -> pathlib.Path:
  folder = _copy(root, command, earlier)
  with (folder / _FIRST[command]).open('a') as file:
    file.write(_MINE)
  return folder


def _in_the_way(
  root: pathlib.Path, command: str, earlier: Earlier
) -> pathlib.Path:
  folder = _copy(root, command, earlier)
  (folder / _FIRST[command]).unlink()
  _write(folder, f'{_FIRST[command]}/mine')
  return folder


def _not_recorded(
  root: pathlib.Path, command: str, earlier: Earlier
) -> pathlib.Path:
  folder = _copy(root, command, earlier)
  manifest = json.loads((folder / atomic.MANIFEST).read_text('utf-8'))
  del manifest['files'][_FIRST[command]]
  (folder / atomic.MANIFEST).write_text(json.dumps(manifest), 'utf-8')
  return folder


def _linked_inside(
  root: pathlib.Path, command: str, earlier: Earlier
) -> pathlib.Path:
  folder = _copy(root, command, earlier)
  (folder / _FIRST[command]).rename(root / 'moved')
  (folder / _FIRST[command]).symlink_to(root / 'moved')
  return folder


def _of_another(
  root: pathlib.Path, command: str, earlier: Earlier
) -> pathlib.Path:
  return _copy(root, 'export' if command != 'export' else 'croissant', earlier)


def _manifest(text: str) -> Callable[..., pathlib.Path]:
  def place(root: pathlib.Path, *_: object) -> pathlib.Path:
    folder = _write(root, 'mine').joinpath('out')
    folder.mkdir()
    (folder / atomic.MANIFEST).write_text(text)
    return folder

  return place


_HOSTILE = json.dumps(
  {
    'writer': 'cmnist publish',
    'files': {'../mine': {'size': 1, 'sha256': ''}},
  }
)

# Of commands that write a folder. A target within the working directory is
# given as the user would give it.
FOLDER_TARGETS = {
  'new folder': Target(lambda root, *_: root / 'out', WRITTEN),
  'empty folder': Target(lambda root, *_: _folder(root / 'out'), WRITTEN),
  'empty working directory': Target(lambda *_: '.', WRITTEN),
  'clone of a hub': Target(
    lambda root, *_: _write(
      root / 'out', '.git/HEAD', '.gitattributes', 'LICENSE'
    ),
    WRITTEN,
  ),
  'clone of a site': Target(
    lambda root, *_: _write(
      root / 'out', '.git/HEAD', 'CNAME', '.nojekyll', '.github/workflows/x.yml'
    ),
    WRITTEN,
  ),
  'earlier output with other files': Target(
    lambda *args: _write(
      _copy(*args), '.git/HEAD', 'CNAME', 'notes/mine.txt', 'static/mine.css'
    ),
    WRITTEN,
  ),
  'earlier output, one file edited': Target(_edited, REFUSED),
  'earlier output, a folder for a file': Target(_in_the_way, REFUSED),
  'earlier output, one file not in the list': Target(_not_recorded, REFUSED),
  'earlier output, a link for a file': Target(_linked_inside, REFUSED),
  'output of another command': Target(_of_another, REFUSED),
  'manifest that is damaged': Target(_manifest('{'), REFUSED),
  'manifest that leads elsewhere': Target(_manifest(_HOSTILE), REFUSED),
  'project that names cmnist_tfds': Target(
    lambda root, *_: _write(
      root / 'out',
      *('README.md', 'index.html', 'croissant.json', '.git/HEAD', 'src/x.py'),
    ),
    REFUSED,
  ),
  'working directory with files': Target(
    lambda root, *_: (_write(root / 'cwd', 'thesis.tex'), '.')[1], REFUSED
  ),
  'link to a folder': Target(
    lambda root, *_: _link(
      root / 'out', str(_write(root / 'else', 'mine').name)
    ),
    REFUSED,
  ),
  'link to an empty folder': Target(
    lambda root, *_: _link(root / 'out', _folder(root / 'else').name), REFUSED
  ),
  'broken link': Target(lambda root, *_: _link(root / 'out', 'no'), REFUSED),
  'file': Target(lambda root, *_: _write(root, 'out') / 'out', REFUSED),
  'pipe': Target(lambda root, *_: _fifo(root / 'out'), REFUSED),
  'device': Target(lambda *_: '/dev/null', REFUSED),
  'root of the file system': Target(lambda *_: '/', REFUSED),
  'home directory': Target(lambda root, *_: root / 'home', REFUSED),
  'mount point': Target(lambda *_: '/proc', REFUSED),
  'folder without a parent': Target(lambda root, *_: root / 'no/out', REFUSED),
  'folder in a file': Target(
    lambda root, *_: _write(root, 'file') / 'file/out', REFUSED
  ),
  'folder that cannot be made': Target(lambda *_: '/proc/out', REFUSED),
  'folder with too long a name': Target(
    lambda root, *_: root / ('x' * 300), REFUSED
  ),
  'folder of prepared datasets': Target(lambda root, *_: root / 'data', REFUSED),
  'folder of the dataset': Target(
    lambda root, *_: root / 'data/cmnist_sample', REFUSED
  ),
  'folder of the subset': Target(lambda root, *_: root / _DATASET, REFUSED),
  'cache': Target(lambda root, *_: root / 'cache', REFUSED),
  'new folder in the cache': Target(lambda root, *_: root / 'cache/x', REFUSED),
}  # fmt: skip


def _picture(place: Callable[[pathlib.Path], object]) -> Callable[..., object]:
  def named(root: pathlib.Path, command: str, _: Earlier) -> object:
    return place(root / f'x{pathlib.Path(command).suffix}')

  return named


# Of `show`, which writes a file.
FILE_TARGETS = {
  'new file': Target(_picture(lambda path: path), WRITTEN),
  'file': Target(
    _picture(lambda path: _write(path.parent, path.name) / path.name), WRITTEN
  ),
  'link to a file': Target(
    _picture(
      lambda path: _link(path, str(_write(path.parent, 'mine') / 'mine'))
    ),
    REFUSED,
  ),
  'broken link': Target(_picture(lambda path: _link(path, 'no')), REFUSED),
  'link to a device': Target(
    _picture(lambda path: _link(path, '/dev/null')), REFUSED
  ),
  'folder': Target(_picture(_folder), REFUSED),
  'pipe': Target(_picture(_fifo), REFUSED),
  'file in no folder': Target(
    _picture(lambda path: path.parent / 'no' / path.name), REFUSED
  ),
  'file in a file': Target(
    _picture(lambda path: _write(path.parent, 'file') / 'file' / path.name),
    REFUSED,
  ),
  'other format': Target(
    _picture(
      lambda path: (
        _write(path.parent, 'thesis.tex') / 'thesis.tex'
      )
    ),
    REFUSED,
  ),
}  # fmt: skip


def _taken(
  make: Callable[[pathlib.Path], object],
) -> Callable[..., pathlib.Path]:
  def place(root: pathlib.Path, *_: object) -> pathlib.Path:
    (root / 'out/toy').mkdir(parents=True)
    make(root / 'out/toy/test-labels.gz')
    return root / 'out'

  return place


# Of `mirror`, which adds files to a folder.
MIRROR_TARGETS = {
  'new folder': Target(lambda root, *_: root / 'out', WRITTEN),
  'folder with other files': Target(
    lambda root, *_: _write(
      root / 'out', 'thesis.tex', 'toy/test-labels.gz.part', 'toy/mine'
    ),
    WRITTEN,
  ),
  'link to a folder': Target(
    lambda root, *_: _link(
      root / 'out', str(_write(root / 'else', 'mine').name)
    ),
    WRITTEN,
  ),
  'another file in the place of one': Target(
    _taken(lambda path: _write(path.parent, path.name)), REFUSED
  ),
  'a link in the place of one': Target(
    _taken(
      lambda path: _link(path, str(_write(path.parent, 'mine') / 'mine'))
    ),
    REFUSED,
  ),
  'a broken link in the place of one': Target(
    _taken(lambda path: _link(path, 'no')), REFUSED
  ),
  'a folder in the place of one': Target(
    _taken(lambda path: _write(path, 'mine')), REFUSED
  ),
  'a pipe in the place of one': Target(_taken(_fifo), REFUSED),
  'file': Target(lambda root, *_: _write(root, 'out') / 'out', REFUSED),
  'broken link': Target(lambda root, *_: _link(root / 'out', 'no'), REFUSED),
}  # fmt: skip

_TARGETS = {
  **dict.fromkeys(FOLDERS, FOLDER_TARGETS),
  'show x.svg': FILE_TARGETS,
  'show x.png': FILE_TARGETS,
  'mirror': MIRROR_TARGETS,
}


def cases() -> list[tuple[str, str, Target]]:
  """Returns every command with every name and target it is tried on."""
  return [
    (command, name, target)
    for command, targets in _TARGETS.items()
    for name, target in targets.items()
    # It reads no dataset.
    if command != 'tfds-pr' or name != 'folder of the dataset'
  ]


def prepare(folder: pathlib.Path) -> Earlier:
  """Prepares a subset and runs each command once."""
  data_dir = folder / 'data'
  where = ['--sample', '--data_dir', str(data_dir)]
  assert cli.main(['build', _NAME, *where]) == 0
  outputs = {}
  for command in FOLDERS:
    outputs[command] = folder / command
    argv = _argv(command, outputs[command], data_dir)
    assert cli.main(argv) == 0, command
  return Earlier(data_dir, outputs)


def run(
  command: str, target: Target, root: pathlib.Path, earlier: Earlier
) -> Outcome:
  """Runs a command on a target.

  Args:
    command: The command, one of `cases`.
    target: The target.
    root: An empty folder, for the target and all around it.
    earlier: What commands wrote earlier.
  """
  shutil.copytree(earlier.data_dir, root / 'data')
  (root / 'cwd').mkdir()
  _write(root / 'home', 'thesis.tex')
  _write(root / 'cache', 'mine')
  output = target.place(root, command, earlier)
  place = root / 'cwd' / str(output)
  before = _snapshot(root)
  ours = _ours(place)
  if command.startswith('show') and target.expected == WRITTEN:
    ours.add(place)  # A picture that the user asks to be written anew.
  errors = io.StringIO()
  with _surroundings(root, command):
    argv = _argv(command, output, root / 'data')
    with (
      contextlib.redirect_stderr(errors),
      contextlib.redirect_stdout(io.StringIO()),
    ):
      status = cli.main(argv)
  after = _snapshot(root)
  # What it did not write, and what it should not have written.
  kept = [p for p in before if p not in ours or target.expected == REFUSED]
  new = [str(path) for path in after if path not in before]
  return Outcome(
    WRITTEN if status == 0 else REFUSED,
    errors.getvalue(),
    sum(_MINE in before[path][2] for path in kept),
    [str(path) for path in kept if after.get(path) != before[path]],
    # A mirror gets the files that are not in the way.
    new if status and command != 'mirror' else [],
  )


@contextlib.contextmanager
def _surroundings(root: pathlib.Path, command: str) -> Iterator[None]:
  old = pathlib.Path.cwd()
  made = synthetic.make()
  made.write(root / 'manual')
  known = (made.source,) if command == 'mirror' else sources.SOURCES
  environment = {
    'HOME': str(root / 'home'),
    'CMNIST_CACHE_DIR': str(root / 'cache'),
  }
  os.chdir(root / 'cwd')
  try:
    with (
      mock.patch.dict(os.environ, environment),
      mock.patch.object(sources, 'SOURCES', known),
    ):
      yield
  finally:
    os.chdir(old)


def _argv(command: str, output: object, data_dir: pathlib.Path) -> list[str]:
  where = ['--sample', '--data_dir', str(data_dir)]
  if command == 'tfds-pr':
    return ['tfds-pr', str(output)]
  if command == 'mirror':
    manual_dir = str(data_dir.parent / 'manual')
    return ['mirror', str(output), '--manual_dir', manual_dir, *where[1:]]
  if command.startswith('show'):
    return ['show', _NAME, *where, '-o', str(output)]
  return [*FOLDERS[command], *where, '-o', str(output)]


def _snapshot(
  root: pathlib.Path,
) -> dict[pathlib.Path, tuple[int, int, str]]:
  """Returns the inode, the mode and the content of all the user has."""
  found = {}
  for folder, folders, files in os.walk(root):
    for name in folders + files:
      path = pathlib.Path(folder, name)
      within = path.relative_to(root)
      # What a command may keep in the cache, and what is made for it to read.
      if within.parts[0] == 'manual' or (
        within.parts[0] == 'cache' and len(within.parts) > 1
        and name != 'mine'
      ):  # fmt: skip
        continue
      status = path.lstat()
      content = ''
      if path.is_symlink():
        content = os.readlink(path)
      elif stat.S_ISREG(status.st_mode):
        content = path.read_bytes().decode('latin-1')
      found[path] = (status.st_ino, status.st_mode, content)
  return found


def _ours(place: pathlib.Path) -> set[pathlib.Path]:
  """Returns the manifest in a folder and the files that it lists."""
  try:
    manifest = json.loads((place / atomic.MANIFEST).read_text('utf-8'))
  except (OSError, ValueError):
    return set()
  ours = {place / path for path in manifest['files']}
  return {*ours, place / atomic.MANIFEST}


def main() -> int:
  """Prints the table; returns the exit status."""
  wrong = 0
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    cache_dir = {'CMNIST_CACHE_DIR': str(folder / 'cache')}
    with (
      contextlib.redirect_stdout(io.StringIO()),
      mock.patch.dict(os.environ, cache_dir),
    ):
      earlier = prepare(_folder(folder / 'earlier'))
    for number, (command, name, target) in enumerate(cases()):
      root = _folder(folder / str(number))
      outcome = run(command, target, root, earlier)
      shutil.rmtree(root)
      as_expected = outcome.done == target.expected
      files = f"{outcome.kept} of the user's files kept"
      if bad := outcome.lost + outcome.left:
        files = f'CHANGED: {", ".join(bad)}'
      wrong += bool(bad) or not as_expected
      done = outcome.done if as_expected else f'{outcome.done}, WRONGLY'
      print(f'{command:<11} {name:<41} {done:<8} {files}')
  print(f'{len(cases())} targets, {wrong} wrong')
  return 1 if wrong else 0


if __name__ == '__main__':
  sys.exit(main())
