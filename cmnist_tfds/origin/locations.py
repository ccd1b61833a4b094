# SPDX-License-Identifier: Apache-2.0
"""Where origin files are looked for, on disk and on the network."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import pathlib
import re
import urllib.parse
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import tables
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system import paths, streams
from cmnist_tfds.system.errors import OriginFileError, read_errors

# Environment variable that holds the user's mirror.
MIRROR_VARIABLE = 'CMNIST_MIRROR'

# The folder of fetched files in a folder for downloads.
FETCHED = 'cmnist'

# A folder that the user named may be a home directory.
_MOST = 20_000
_DEEPEST = 6
# Values may have eight bytes, and small files have long headers.
_MOST_BYTES = 16

_DEBIAN = pathlib.Path('/usr/share/dataset-fashion-mnist')

_MAGIC = (idx_npz.GZIP_MAGIC, idx_npz.NPY_MAGIC, b'\0\0')


@dataclass(frozen=True, kw_only=True)
class Locations:
  """The locations in which origin files are looked for.

  Files are looked for beside a user's declaration, in `manual_dir`, in the
  mirror, in what was fetched before, and then in any packing below these
  folders. Then they are fetched from the mirror and from their origins.

  Attributes:
    download_dir: TFDS's folder for downloads. Files are fetched into `cmnist`
      in it. With None, nothing is fetched.
    manual_dir: Folder in which the user has put files, each at
      `<folder>/<file name>`.
    mirror: Folder or HTTP base URL that holds files in the same layout.
    timeout: Seconds that a host may take to be reached, or send next to
      nothing.
    verify_ssl: Whether to check the certificates of hosts.
    offline: Whether nothing is fetched.
    allow_unverified: Whether well-formed files that nothing proves are read,
      even if they have fewer examples than the source has.
    any_packing: Whether files elsewhere in these folders are looked into.
    dead_hosts: What was wrong with hosts that could not be reached. They are
      not asked again.
  """

  download_dir: pathlib.Path | None = None
  manual_dir: pathlib.Path | None = None
  mirror: str | None = field(default=None, repr=False)
  timeout: float = 20.0
  verify_ssl: bool = True
  offline: bool = False
  allow_unverified: bool = False
  any_packing: bool = True
  dead_hosts: dict[str, str] = field(default_factory=dict, compare=False)

  def folders(self, file: OriginFile) -> list[pathlib.Path]:
    """Returns the folders that may hold a file, in the order they are tried."""
    mirror = parse_mirror(self.mirror)
    fetched = self.download_dir / FETCHED if self.download_dir else None
    found = (file.beside, self.manual_dir, mirror, fetched)
    return [folder for folder in found if isinstance(folder, pathlib.Path)]


def default_locations(
  data_dir: paths.PathLike | None = None,
  *,
  download_dir: paths.PathLike | None = None,
  manual_dir: paths.PathLike | None = None,
  mirror: str | None = None,
  **others: Any,
) -> Locations:
  """Returns the locations that a user means.

  Args:
    data_dir: Folder of prepared datasets, `paths.data_root` by default.
    download_dir: Folder for downloads, `<data_dir>/downloads` by default.
    manual_dir: Folder of the user's files, `<download_dir>/manual` by default.
    mirror: Folder or HTTP address, that of CMNIST_MIRROR by default.
    **others: Other fields of `Locations`; None for their defaults.

  Raises:
    OriginFileError: If a folder that the user named does not exist, or the
      mirror is not an address that can be used.
  """
  named = download_dir or paths.data_root(data_dir) / 'downloads'
  folder = paths.expanded(named)
  manual = paths.expanded(manual_dir) if manual_dir else None
  mirror = mirror or os.environ.get(MIRROR_VARIABLE) or None
  for name, place in (('manual_dir', manual), ('mirror', parse_mirror(mirror))):
    if isinstance(place, pathlib.Path) and not os.path.isdir(place):
      fault = f'the {name} {place} is not a directory'
      raise OriginFileError(f'{fault}. Correct it, or leave it out')
  others |= {'download_dir': folder, 'manual_dir': manual or folder / 'manual'}
  given = {name: value for name, value in others.items() if value is not None}
  return Locations(mirror=mirror, **given)


def without_password(text: str) -> str:
  """Returns a text without the user and the password of an address in it."""
  return re.sub(r'(?<=:)\S*@', '//', text)


def parse_mirror(mirror: str | None) -> str | pathlib.Path | None:
  """Returns what a mirror names: a folder, or an address without a last slash.

  Raises:
    OriginFileError: If it looks like an address and cannot be used. The message
      does not have its password.
  """
  if mirror is None:
    return None
  # Paths are added at the end, where nothing can follow.
  if re.fullmatch(r'https?://[^/?#][^?#]*', mirror, re.IGNORECASE):
    return mirror.rstrip('/')
  if not paths.is_remote(mirror):
    return paths.expanded(mirror)
  # A query may hold a token.
  shown = without_password(mirror).partition('?')[0]
  like = 'with a host and no query, such as https://example.org/files'
  raise OriginFileError(
    f'the mirror {shown}: expected a folder or a URL {like}'
  )


@dataclass(frozen=True)
class Copy:
  """A file on disk that may be a copy of an origin file.

  Attributes:
    file: The origin file. It may be an equivalent of the one that is wanted.
    path: The path of the copy, or of the zip file that contains it.
    member: The name of the copy in the zip file, empty if it is not in one.
    packed: Whether it is not at its place, but may hold the same array.
  """

  file: OriginFile
  path: pathlib.Path
  member: str = ''
  packed: bool = False

  def __str__(self) -> str:
    """Returns the path and the member, for messages."""
    return f'{self.path}' + (f', member {self.member}' if self.member else '')

  @read_errors()
  def read(self) -> bytes:
    """Returns the bytes of the copy.

    Raises:
      OriginFileError: If it cannot be read, or is not in the zip file. The
        message does not name the copy.
    """
    if not self.member:
      return self.path.read_bytes()
    with zipfile.ZipFile(self.path) as archive:
      return archive.read(self.member)


def _places(file: OriginFile) -> Iterator[tuple[OriginFile, str, str]]:
  """Yields forms of a file, with the path and the member of a zip file there."""
  for form in (file, *file.equivalents):
    yield form, form.path, ''
    if form.archive:
      yield form, form.archive.path, form.member


def copies_on_disk(file: OriginFile, locations: Locations) -> Iterator[Copy]:
  """Yields the copies of a file, or of its equivalents, at their places.

  They exist, and are not verified. They come in the order they are tried.
  """
  for folder in locations.folders(file):
    for form, path, member in _places(file):
      if os.path.isfile(folder / path):
        yield Copy(form, folder / path, member)


def packed_copies(
  file: OriginFile, shape: tuple[int, ...], locations: Locations
) -> Iterator[Copy]:
  """Yields files that may hold the array of an origin file in another packing.

  Neither names nor folders matter: an IDX file, packed by gzip or not, an NPZ or
  NPY file, a member of a zip file, or a table of pixels is tried.

  Args:
    file: The file that is wanted.
    shape: The shape of its array.
    locations: The locations to look in: their folders with all that is below
      them, what TFDS has downloaded and unpacked, then the places of Keras and
      of Debian.

  Yields:
    Copies, those of a similar name first; also those of `copies_on_disk`.
  """
  roots = locations.folders(file)
  if locations.download_dir:
    keras = os.environ.get('KERAS_HOME') or os.path.expanduser('~/.keras')
    roots += [locations.download_dir, pathlib.Path(keras, 'datasets'), _DEBIAN]
  found = dict.fromkeys(path for root in roots for path in _files_below(root))
  for path in sorted(found, key=lambda p: _stem(p.name) != _stem(file.name)):
    # A file that is damaged is not the one that is wanted.
    with contextlib.suppress(OriginFileError), read_errors():
      yield from _in_file(path, file, _MOST_BYTES * math.prod(shape))


def _files_below(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the files below a folder, those of upper folders first."""
  paths = (p for n in range(_DEEPEST) for p in root.glob('*/' * n + '*'))
  first = itertools.islice(paths, _MOST)
  shown = streams.progress_bar(first, desc=f'Searching {root}')
  yield from filter(os.path.isfile, shown)
  if next(paths, None):
    told = f'Searched the first {_MOST:,} files and folders in {root}, not all'
    streams.warn_once(
      f'{told}: name the folder that has the files of the sources'
    )


def _in_file(path: pathlib.Path, file: OriginFile, most: int) -> Iterator[Copy]:
  """Yields a file, or members of it, with at most so many bytes."""
  forms = (file, *file.equivalents)
  stems = {_stem(form.name) for form in forms}
  with path.open('rb') as stream:
    magic = stream.read(6)
  whole = {'': path.stat().st_size}
  found = whole if tables.is_table(path) else {}
  if magic.startswith(_MAGIC) and whole[''] <= most:
    found = whole
  elif magic.startswith(idx_npz.ZIP_MAGIC):
    with zipfile.ZipFile(path) as archive:
      found = {info.filename: info.file_size for info in archive.infolist()}
    if f'{file.array}.npy' in found:
      found = whole
  for member, size in found.items():
    # Keras, for one, calls arrays x_train and the like.
    name = member.rpartition('/')[2]
    if not member or name.endswith('.npy') or _stem(name) in stems:
      # If its size is that of a form, it may be proved by its hash.
      form = next((form for form in forms if form.size == size), file)
      yield Copy(form, path, member, packed=True)


def _stem(name: str) -> str:
  """Returns a name without what packing changes."""
  name = name.removesuffix('.gz').removesuffix('.npz').removesuffix('.npy')
  # MNIST's own files once had a full stop before `idx`.
  return name.replace('.idx', '-idx').lower()


def addresses(
  file: OriginFile, mirror: str | None = None
) -> Iterator[tuple[OriginFile, str, str]]:
  """Yields the URLs of a file, in the order they are tried.

  Args:
    file: The file that is wanted.
    mirror: The user's mirror. It has no URLs if it is a folder.

  Yields:
    The file at the URL, which is the wanted one, an equivalent or the archive
    of one of them; the URL; and if the URL is that of the archive of the file,
    the name of the file in it.
  """
  base = parse_mirror(mirror)
  for form, path, member in _places(file) if isinstance(base, str) else ():
    url = f'{base}/{urllib.parse.quote(path)}'
    yield form, url, member
    if member and form.archive:
      yield form.archive, url, ''
  for form in (file, *file.equivalents):
    archive = form.archive or OriginFile(path='')
    # The whole archive, which is far larger, comes after every home of the
    # member on its own.
    yield from ((form, url, form.member) for url in archive.urls)
    yield from ((form, url, '') for url in form.urls)
    yield from ((archive, url, '') for url in archive.urls)


def how_to_get(file: OriginFile, folder: pathlib.Path | None) -> str:
  """Returns a sentence that says how a user gets a file and where to save it.

  Args:
    file: The file.
    folder: The manual folder, or None if it is not known.
  """
  published = file.archive or file
  if folder == paths.package_folder('dummy_data'):
    return 'The sample is not whole: install cmnist_tfds again'
  folders = filter(None, (folder or '<manual_dir>', file.beside))
  places = (f'{place}/{published.path}' for place in folders)
  get = 'Save it'
  if published.urls:
    get = f'Download it from {published.urls[0]} and save it'
  return f'{get} as {" or ".join(places)}'
