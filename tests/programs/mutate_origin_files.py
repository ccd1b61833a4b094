# SPDX-License-Identifier: Apache-2.0
"""Damages origin files of synthetic sources at random and reads them.

Each mutation must give the right pixels or one OriginFileError.
"""

from __future__ import annotations

import gzip
import pathlib
import random
import struct
import sys
import tempfile

_TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS.parent)]

import synthetic  # noqa: E402
import trials  # noqa: E402

from cmnist_tfds import origin  # noqa: E402
from cmnist_tfds.system.errors import OriginFileError  # noqa: E402

_FORMS = ('idx', 'npz', 'zip')
_WORDS = (
  b'PK\3\4', b'PK\1\2', b'PK\5\6', b'PK\6\6', b'PK\6\7', b'\x1f\x8b',
  b'\x93NUMPY', b"{'descr': ", b'(((((', b'"""', b'\n  ', b'|O', b'-1', b'9' * 40,
  b'\xff\xff\xff\xff', b'\0\0\0\0', b'\x7f\xff\xff\xff', b'\xff' * 8,
)  # fmt: skip


def _damage(data: bytes, rng: random.Random) -> bytes:
  """Returns the data with one to four random changes."""
  out = bytearray(data)
  for _ in range(rng.randint(1, 4)):
    # Headers and directories stand at the two ends.
    size = max(1, len(out))
    near = rng.randrange(min(size, 200))
    at = rng.choice((near, size - 1 - near, rng.randrange(size)))
    end = at + rng.choice((1, 2, 4, 40, 4000))
    match rng.randrange(7):
      case 0:
        out[at : at + 1] = bytes([rng.randrange(256)])
      case 1:
        out = out[:at]
      case 2:
        del out[at:end]
      case 3:
        out[at:end] = rng.randbytes(min(end, size) - at)
      case 4:
        word = rng.choice(_WORDS)
        out[at : at + len(word)] = word
      case 5:
        out[at:at] = rng.choice(_WORDS)
      case _:
        out += out[at:end]
  return bytes(out)


def _mutated(form: str, data: bytes, rng: random.Random) -> bytes:
  """Damages a file, or the array inside it, which is packed well."""
  if rng.random() < 0.5:
    return _damage(data, rng)
  if data.startswith(b'\x1f\x8b'):
    return gzip.compress(_damage(gzip.decompress(data), rng), mtime=0)
  inner = b'\x93NUMPY\1\0' + struct.pack('<H', 118)
  header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (40, 28, 28), }"
  npy = _damage(inner + header.ljust(117) + b'\n', rng)
  return synthetic.zipped(
    {'arr_0.npy': npy + bytes(40 * 784), 'gzip/train-images.gz': npy}
  )


def _try_one(seed: int, folder: pathlib.Path) -> str:
  """Returns the outcome of one mutation."""
  rng = random.Random(seed)
  form = rng.choice(_FORMS)
  made = synthetic.make(form=form)
  names = {
    'idx': ['images.gz', 'labels.gz'],
    'npz': ['images.npz', 'labels.npz'],
  }
  name = rng.choice(names.get(form, ['']))
  path = f'toy/train-{name}' if name else 'toy/gzip.zip'
  wanted = {p: d for p, d in made.files.items() if p.endswith(path[-4:])}
  wanted[path] = _mutated(form, made.files[path], rng)
  mutated = synthetic.Made(made.source, wanted, made.arrays)
  where = origin.Locations(manual_dir=mutated.write(folder / form))
  allow = rng.random() < 0.3
  try:
    arrays = origin.load_split.load_split(
      made.source, 'train', where, allow_unverified=allow
    )
  except OriginFileError:
    return 'one clear error'
  if origin.Proof.NONE in arrays.proofs.values():
    return 'unverified, as allowed, and told so'
  made.assert_read(arrays)
  return 'right pixels'


def main() -> int:
  with tempfile.TemporaryDirectory() as folder:
    return trials.run(
      __doc__,
      10_000,
      lambda seed: [_try_one(seed, pathlib.Path(folder))],
    )


if __name__ == '__main__':
  sys.exit(main())
