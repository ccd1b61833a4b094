# SPDX-License-Identifier: Apache-2.0
"""Small synthetic sources, whose files are made in memory."""

import csv
import dataclasses
import gzip
import hashlib
import io
import os
import pathlib
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from cmnist_tfds.origin import Locations, SplitArrays, load_split, verification
from cmnist_tfds.sources import OriginFile, Source, Split

SIZES = {'train': 40, 'test': 20}
CLASS_NAMES = ('zero', 'one')


@dataclasses.dataclass(frozen=True)
class Written:
  """A synthetic source.

  Attributes:
    source: The record.
    files: The bytes of its files, by path.
    arrays: Images and labels as in the files, by split.
  """

  source: Source
  files: dict[str, bytes]
  arrays: dict[str, tuple[np.ndarray, np.ndarray]]

  def write(self, folder: pathlib.Path) -> pathlib.Path:
    """Writes the files in the layout of a manual folder."""
    for path, data in self.files.items():
      write(folder / path, data)
    return folder

  def load(self, split: str = 'train', **where: Any) -> SplitArrays:
    """Loads a split from some locations."""
    return load_split.load_split(self.source, split, Locations(**where))

  def upright(self, split: str) -> np.ndarray:
    """Returns the images of a split, upright."""
    images, _ = self.arrays[split]
    return images.transpose(0, 2, 1) if self.source.steps else images

  def assert_read(self, arrays: SplitArrays, split: str = 'train') -> None:
    """Asserts that arrays are those in the files, images upright."""
    np.testing.assert_array_equal(arrays.images, self.upright(split))
    np.testing.assert_array_equal(arrays.labels, self.arrays[split][1])


def idx(array: np.ndarray, *, packed: bool = True) -> bytes:
  """Returns an IDX file."""
  data = bytes([0, 0, 8, array.ndim])
  data += np.array(array.shape, '>u4').tobytes() + array.tobytes()
  return gzip.compress(data, mtime=0) if packed else data


def npz(array: np.ndarray, key: str = 'arr_0') -> bytes:
  """Returns an NPZ file."""
  out = io.BytesIO()
  np.savez_compressed(out, **{key: array})
  return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
  """Returns a zip file."""
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, data in members.items():
      archive.writestr(zipfile.ZipInfo(name), data)
  return out.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = 'w') -> bytes:
  """Returns a tar file."""
  out = io.BytesIO()
  with tarfile.open(fileobj=out, mode=mode) as archive:
    for name, data in members.items():
      info = tarfile.TarInfo(name)
      info.size = len(data)
      archive.addfile(info, io.BytesIO(data))
  return out.getvalue()


PIXELS = [f'pixel{n}' for n in range(784)]


def table(
  labels: Any,
  images: np.ndarray,
  names: Iterable[Any] = (),
  *,
  last: bool = False,
  **options: Any,
) -> bytes:
  """Returns a CSV file of labels, in the first or last column, and pixels."""
  text = io.StringIO()
  writer = csv.writer(text, **options)
  writer.writerows([names] if names else [])
  for label, image in zip(labels, images, strict=True):
    pixels = image.ravel().tolist()
    writer.writerow([*pixels, label] if last else [label, *pixels])
  return text.getvalue().encode()


def png(image: np.ndarray) -> bytes:
  """Returns a picture file."""
  from PIL import Image

  out = io.BytesIO()
  Image.fromarray(image).save(out, 'png')
  return out.getvalue()


def pictures(images: Mapping[str, Any], inside: str = '') -> dict[str, bytes]:
  """Returns picture files in a folder for each class, by path."""
  return {
    f'{inside}{folder}/{number:02d}.png': png(image)
    for folder, of_class in images.items()
    for number, image in enumerate(of_class)
  }


def write(path: pathlib.Path | str, content: Any) -> pathlib.Path:
  """Writes bytes, an array, the arrays of a file, or the files of a folder."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  if isinstance(content, bytes):
    path.write_bytes(content)
  elif isinstance(content, np.ndarray):
    np.save(path, content)
  elif path.suffix == '.npz':
    np.savez(path, **content)
  elif path.suffix == '.parquet':
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(content), path)
  elif path.suffix == '.zip':
    path.write_bytes(zipped(content))
  elif '.tar' in path.name:
    mode = f'w:{path.suffix[1:]}' if path.suffix != '.tar' else 'w'
    path.write_bytes(tarred(content, mode))
  else:
    path.mkdir(exist_ok=True)
    for name, each in content.items():
      write(path / os.fsdecode(name), each)
  return path


def flip(path: pathlib.Path, at: int = -1) -> None:
  """Changes one bit of a file."""
  data = bytearray(path.read_bytes())
  data[at] ^= 1
  path.write_bytes(data)


def origin_file(path: str, data: bytes, **kwargs) -> OriginFile:
  """Returns the record of a file with these bytes."""
  return OriginFile(
    path=path,
    size=len(data),
    md5=hashlib.md5(data).hexdigest(),
    sha256=hashlib.sha256(data).hexdigest(),
    **kwargs,
  )


def make(
  homes: tuple[str, ...] = ('http://127.0.0.1:9/',),
  *,
  form: str = 'idx',
  seed: int = 0,
  key: str = 'T',
  folder: str = 'toy',
  sizes: Mapping[str, int] = SIZES,
) -> Written:
  """Makes a source, by default of 40 training and 20 test examples.

  Args:
    homes: Bases of the URLs of its files, without the folder.
    form: 'idx'; 'npz', with the IDX files as equivalents; or 'zip', with IDX
      files as members.
    seed: Of the images.
    key: Key of the source.
    folder: Folder of its files.
    sizes: How many examples each split has, half of them of each class.

  Returns:
    The source; with 'npz' both forms are among the files.
  """
  rng = np.random.default_rng(seed)
  arrays = {
    split: (
      rng.integers(0, 256, (size, 28, 28), np.uint8),
      np.arange(size, dtype=np.uint8) % len(CLASS_NAMES),
    )
    for split, size in sizes.items()
  }
  named = {
    f'{folder}/{split}-{part}': array
    for split, both in arrays.items()
    for part, array in zip(('images', 'labels'), both, strict=True)
  }
  idx_files = {f'{path}.gz': idx(array) for path, array in named.items()}

  def urls(path: str) -> tuple[str, ...]:
    return tuple(home + path for home in homes)

  files, where = idx_files, {}
  if form == 'zip':
    members = {f'gzip/{p.rpartition("/")[2]}': d for p, d in idx_files.items()}
    # Our members are less than half of the archive.
    members['gzip/other.gz'] = rng.bytes(400_000)
    path = f'{folder}/gzip.zip'
    files = {path: zipped(members)}
    where = {'archive': origin_file(path, files[path], urls=urls(path))}

  def record(path: str) -> OriginFile:
    facts: Any = {'fingerprint': verification.fingerprint(named[path])}
    if form == 'zip':
      facts |= {**where, 'member': f'gzip/{path.rpartition("/")[2]}.gz'}
    else:
      facts['urls'] = urls(f'{path}.gz')
    found = origin_file(f'{path}.gz', idx_files[f'{path}.gz'], **facts)
    if form == 'npz':
      other = f'{path}.npz'
      files[other] = npz(named[path])
      facts |= {'urls': urls(other), 'equivalents': (found,)}
      found = origin_file(other, files[other], **facts)
    return found

  splits = {
    split: Split(
      images=record(f'{folder}/{split}-images'),
      labels=record(f'{folder}/{split}-labels'),
      num_examples=size,
      class_counts=(size // 2, size // 2),
    )
    for split, size in sizes.items()
  }
  source = Source(
    key=key,
    title='Toy',
    class_names=CLASS_NAMES,
    layout='npz' if form == 'npz' else 'idx',
    steps=('transpose',) if form == 'zip' else (),
    homepage='',
    license='',
    citation='',
    **splits,
  )
  return Written(source, files, arrays)


def replace_file(source: Source, path: str, **changes) -> Source:
  """Returns the source with other facts in the record of one file."""

  splits = {}
  for name, split in source.splits.items():
    files = {'images': split.images, 'labels': split.labels}
    for role, file in files.items():
      if file.path == path:
        files[role] = msgspec.structs.replace(file, **changes)
    splits[name] = msgspec.structs.replace(split, **files)
  return msgspec.structs.replace(source, **splits)
