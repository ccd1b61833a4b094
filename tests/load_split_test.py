# SPDX-License-Identifier: Apache-2.0
"""A split is read from the right files, or there is one clear error."""

import contextlib
import dataclasses
import gzip
import hashlib
import re

import msgspec
import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import Locations, locations, verification
from cmnist_tfds.origin.reader import read_copy
from cmnist_tfds.origin.verification import Proof, fingerprint
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import OriginFileError

TRAIN_IMAGES = 'toy/train-images.gz'
TRAIN_LABELS = 'toy/train-labels.gz'


@pytest.fixture
def made():
  return synthetic.make()


def _read(made, folder, split='train', **kwargs):
  return made.load(split, manual_dir=made.write(folder), **kwargs)


def _with(made, path, data):
  """Returns the source with another file in place of one of its files."""
  return dataclasses.replace(made, files=made.files | {path: data})


@pytest.mark.parametrize(
  ('form', 'equivalents'),
  [('idx', False), ('npz', False), ('npz', True), ('zip', False)],
)
@pytest.mark.parametrize('split', ['train', 'test'])
def test_a_split_is_read_and_proved(form, equivalents, split, tmp_path):
  made = synthetic.make(form=form)
  if equivalents:
    idx_files = {p: d for p, d in made.files.items() if p.endswith('.gz')}
    made = dataclasses.replace(made, files=idx_files)
  arrays = _read(made, tmp_path, split)
  made.assert_read(arrays, split)
  assert arrays.images.dtype == arrays.labels.dtype == np.uint8
  assert arrays.images.flags.c_contiguous
  files = made.source.splits[split]
  paths = (files.images.path, files.labels.path)
  assert arrays.proofs == dict.fromkeys(paths, Proof.SHA256)
  # Nothing is unpacked into the folder.
  assert {p.name for p in (tmp_path / 'toy').iterdir()} == {
    path.rpartition('/')[2] for path in made.files
  }


@pytest.mark.parametrize('zip_file', ['absent', 'damaged', 'right'])
@pytest.mark.parametrize('member', ['absent', 'damaged', 'right'])
def test_loose_members_and_the_archive_stand_in_for_each_other(
  zip_file, member, tmp_path
):
  made = synthetic.make(form='zip')
  files = {}
  if zip_file != 'absent':
    data = made.files['toy/gzip.zip']
    files['toy/gzip.zip'] = data if zip_file == 'right' else data[:-99]
  if member != 'absent':
    paths = (TRAIN_IMAGES, TRAIN_LABELS)
    for path, array in zip(paths, made.arrays['train'], strict=True):
      data = synthetic.idx(array)
      files[path] = data if member == 'right' else data[:-9]
  made = dataclasses.replace(made, files=files)
  if 'right' in (zip_file, member):
    assert set(_read(made, tmp_path).proofs.values()) == {Proof.SHA256}
  else:
    with pytest.raises(OriginFileError, match=r'gzip\.zip'):
      _read(made, tmp_path)


@pytest.mark.parametrize('size', [40, 5])
def test_what_nothing_proves_is_refused_unless_allowed(size, made, tmp_path):
  images, labels = (array[:size] ^ 1 for array in made.arrays['train'])
  other = _with(made, TRAIN_IMAGES, synthetic.idx(images))
  other = _with(other, TRAIN_LABELS, synthetic.idx(labels))
  # Smaller stand-ins may be read, too.
  fault = 'allow unverified files' if size == 40 else r'found \(5, 28, 28\)'
  said = f'{tmp_path}/{TRAIN_IMAGES}.*{fault}'
  with pytest.raises(OriginFileError, match=said):
    _read(other, tmp_path)
  arrays = _read(other, tmp_path, allow_unverified=True)
  np.testing.assert_array_equal(arrays.images, images)
  np.testing.assert_array_equal(arrays.labels, labels)
  assert arrays.proofs[TRAIN_IMAGES] is Proof.NONE
  # What is proved comes first.
  made.write(tmp_path / 'mirror')
  mirror = str(tmp_path / 'mirror')
  where = {'mirror': mirror, 'allow_unverified': True}
  made.assert_read(made.load(manual_dir=tmp_path, **where))


_IMAGES, _LABELS = synthetic.make().arrays['train']
_ZIP = 'toy/gzip.zip'
_ZEROS = gzip.compress(bytes(40 << 20))


@pytest.mark.parametrize(
  ('path', 'data', 'message'),
  [
    (TRAIN_IMAGES, b'version https://git-lfs.github.com/spec', 'Git LFS'),
    (TRAIN_IMAGES, synthetic.idx(_IMAGES)[:-9], 'cut short|ended before'),
    (TRAIN_IMAGES, synthetic.idx(_IMAGES[:, :27]), r'\), found \(40, 27, 28\)'),
    (TRAIN_IMAGES, synthetic.idx(np.tile(_IMAGES, (2, 1, 1))), r'found \(80, '),
    (TRAIN_LABELS, synthetic.idx(_LABELS[:-1]), 'of 40 images, found 39'),
    (TRAIN_LABELS, synthetic.idx(_LABELS + 1), 'from 0 to 1, found 1 to 2'),
    (_ZIP, b'<!DOCTYPE html>', 'member .*: it is an HTML page'),
    (_ZIP, synthetic.zipped({'../gzip/x.gz': b''}), 'no item .* .gzip/train'),
    (_ZIP, synthetic.make(form='zip').files[_ZIP][:-30], 'cannot be read'),
    (_ZIP, synthetic.zipped({'gzip/train-images.gz': _ZEROS}), 'expected'),
  ],
)
def test_faults_are_named_even_where_unverified_files_are_allowed(
  path, data, message, tmp_path
):
  made = synthetic.make(form='zip' if path == _ZIP else 'idx')
  with pytest.raises(OriginFileError) as raised:
    _read(_with(made, path, data), tmp_path, allow_unverified=True)
  assert [*tmp_path.rglob('*.gz')] == [] or path != _ZIP
  text = str(raised.value)
  assert re.search(message, text), text
  assert path in text
  assert '\n' not in text
  assert re.search('[Ff]etch|Download it from', text)


def test_counts_of_classes_must_agree(made, tmp_path):
  train = msgspec.structs.replace(made.source.train, class_counts=(19, 21))
  source = msgspec.structs.replace(made.source, train=train)
  with pytest.raises(OriginFileError, match=r'\(19, 21\) .* found \(20, 20\)'):
    _read(dataclasses.replace(made, source=source), tmp_path)


@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
@pytest.mark.parametrize('wrong_first', [False, True])
@pytest.mark.parametrize('step', ['prove', 'fingerprint'])
def test_what_is_decoded_is_what_is_proved(
  form, wrong_first, step, tmp_path, monkeypatch
):
  """Another process changes a file after it was read."""
  right = synthetic.make(form=form)
  wrong = synthetic.make(form=form, seed=1)
  first, then = (wrong, right) if wrong_first else (right, wrong)
  first.write(tmp_path)
  original = getattr(verification, step)

  def changing(*args):
    then.write(tmp_path)
    return original(*args)

  monkeypatch.setattr(verification, step, changing)
  with contextlib.suppress(OriginFileError):
    right.assert_read(right.load(manual_dir=tmp_path))


# Real files -------------------------------------------------------------------


def test_recorded_fingerprints_are_those_of_the_files(origin_files):
  where = Locations(manual_dir=origin_files)
  checked = 0
  for source in SOURCES:
    for file, shape in source.origin_files.items():
      for copy in locations.copies_on_disk(file, where):
        array, proof, _ = read_copy(copy, file, shape)
        assert proof is Proof.SHA256, copy
        assert fingerprint(array) == file.fingerprint, copy
        md5 = hashlib.md5(copy.read()).hexdigest()
        assert md5 == copy.file.md5, copy
        checked += 1
  assert checked


# Proofs --------------------------------------------------------------------------

_DATA = b'the bytes of a file'
_FILE = synthetic.origin_file('toy/file', _DATA)
_ZERO = '0' * 64
_BLOB = hashlib.sha1(b'blob %d\0%s' % (len(_DATA), _DATA)).hexdigest()


def test_the_fingerprint_is_that_of_shape_and_values():
  array = np.arange(6, dtype=np.uint8).reshape(2, 3)
  expected = hashlib.sha256(b'uint8 (2, 3)\n' + bytes(range(6))).hexdigest()
  assert verification.fingerprint(array) == expected
  assert verification.fingerprint(np.asfortranarray(array)) == expected


@pytest.mark.parametrize(
  ('known', 'data', 'expected'),
  [
    ({}, _DATA, Proof.SHA256),
    ({'sha256': None}, _DATA, Proof.MD5),
    ({'sha256': None, 'size': None, 'git_blob': _BLOB}, _DATA, Proof.MD5),
    ({'sha256': None, 'reported_sha256': _FILE.sha256}, _DATA, Proof.SHA256),
    ({'sha256': None, 'reported_sha256': _ZERO}, _DATA, Proof.MD5),
    ({'size': len(_DATA) + 1}, _DATA, 'expected 20 bytes, found 19'),
    ({'sha256': _ZERO}, _DATA, f'expected the SHA-256 {_ZERO}, found another'),
    ({}, _DATA[:-1] + b'.', f'expected the SHA-256 {_FILE.sha256}, found'),
    ({}, b'', 'it is empty'),
    ({}, b'abc', 'expected 19 bytes, found 3'),
    ({}, _DATA + b'.', 'expected 19 bytes, found more'),
    ({'sha256': None}, _DATA[::-1], f'expected the MD5 {_FILE.md5}, found'),
    ({'sha256': None, 'size': None}, _DATA, 'expected the MD5'),
    ({'sha256': None, 'size': None, 'git_blob': 'a' * 40}, _DATA, 'the MD5'),
    ({'sha256': None, 'md5': '0' * 32}, _DATA, 'expected the MD5'),
    ({'sha256': None, 'md5': None}, _DATA, 'no hash of it is declared'),
    ({}, b'<!DOCTYPE html><html>', 'it is an HTML page'),
    ({}, b'\xef\xbb\xbf\r\n <HTML lang="en">', 'it is an HTML page'),
    ({}, b'version https://git-lfs.github.com/spec/v1\n', 'Git LFS pointer'),
  ],
)
def test_a_file_is_proved_or_its_fault_is_told(known, data, expected, tmp_path):
  (tmp_path / 'file').write_bytes(data)
  file = msgspec.structs.replace(_FILE, **known)
  proof, _ = verification.prove(file, data)
  fault = verification.fault(file, tmp_path / 'file')
  if isinstance(expected, Proof):
    assert (proof, fault) == (expected, '')
  else:
    assert proof is Proof.NONE and expected in fault
