# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import gzip
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import synthetic

from cmnist_tfds import origin
from cmnist_tfds.origin import (
  Locations,
  Proof,
  load_split,
  locations,
  verification,
)
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import OriginFileError

TRAIN_IMAGES = 'toy/train-images.gz'
TRAIN_LABELS = 'toy/train-labels.gz'


@pytest.fixture
def made():
  return synthetic.make()


def _read(made, folder, **kwargs):
  made.write(folder)
  return origin.load_split.load_split(
    made.source, 'train', Locations(manual_dir=folder), **kwargs
  )


def _with(made, path, data, *, recorded=False):
  """Returns the source with another file in place of one of its files."""
  source = made.source
  if recorded:
    file = synthetic.origin_file(path, data)
    source = synthetic.replace_file(
      source, path, size=file.size, md5=file.md5, sha256=file.sha256
    )
  return synthetic.Made(source, made.files | {path: data}, made.arrays)


@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
@pytest.mark.parametrize('split', ['train', 'test'])
def test_a_split_is_read_and_proved(form, split, tmp_path):
  made = synthetic.make(form=form)
  made.write(tmp_path)
  arrays = origin.load_split.load_split(
    made.source, split, Locations(manual_dir=tmp_path)
  )
  made.assert_read(arrays, split)
  assert arrays.images.dtype == arrays.labels.dtype == np.uint8
  assert arrays.images.flags.c_contiguous
  files = made.source.splits[split]
  assert arrays.proofs == {
    files.images.path: Proof.SHA256,
    files.labels.path: Proof.SHA256,
  }
  # Nothing is unpacked beside the files.
  assert {p.name for p in (tmp_path / 'toy').iterdir()} == {
    path.rpartition('/')[2] for path in made.files
  }


def test_an_equivalent_is_found_and_proved(tmp_path):
  made = synthetic.make(form='npz')
  only_idx = {p: d for p, d in made.files.items() if p.endswith('.gz')}
  arrays = _read(dataclasses.replace(made, files=only_idx), tmp_path)
  made.assert_read(arrays)
  assert set(arrays.proofs.values()) == {Proof.SHA256}


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
    for path, array in zip(
      (TRAIN_IMAGES, TRAIN_LABELS), made.arrays['train'], strict=True
    ):
      data = synthetic.idx(array)
      files[path] = data if member == 'right' else data[:-9]
  made = dataclasses.replace(made, files=files)
  if 'right' in (zip_file, member):
    assert set(_read(made, tmp_path).proofs.values()) == {Proof.SHA256}
  else:
    with pytest.raises(OriginFileError, match=r'gzip\.zip'):
      _read(made, tmp_path)


@pytest.mark.parametrize(
  ('packed_anew'),
  [
    lambda array: gzip.compress(synthetic.idx(array, packed=False), 1, mtime=0),
    synthetic.npz,
  ],
)
def test_the_same_array_packed_anew_is_proved_by_its_content(
  packed_anew, made, tmp_path
):
  images, _ = made.arrays['train']
  arrays = _read(_with(made, TRAIN_IMAGES, packed_anew(images)), tmp_path)
  np.testing.assert_array_equal(arrays.images, images)
  assert arrays.proofs[TRAIN_IMAGES] is Proof.FINGERPRINT
  assert arrays.proofs[TRAIN_LABELS] is Proof.SHA256


def test_what_nothing_proves_is_refused_unless_allowed(made, tmp_path):
  images = made.arrays['train'][0] ^ 1
  other = _with(made, TRAIN_IMAGES, synthetic.idx(images))
  with pytest.raises(OriginFileError) as raised:
    _read(other, tmp_path)
  message = str(raised.value)
  assert f'{tmp_path}/{TRAIN_IMAGES}' in message
  assert 'its content is not the published one' in message
  assert 'allow unverified files' in message
  arrays = _read(other, tmp_path, allow_unverified=True)
  np.testing.assert_array_equal(arrays.images, images)
  assert arrays.proofs[TRAIN_IMAGES] is Proof.NONE


def test_a_right_copy_is_preferred_where_unverified_ones_are_allowed(tmp_path):
  made = synthetic.make(form='npz')
  outdated = synthetic.npz(made.arrays['train'][0] ^ 1)
  arrays = _read(
    _with(made, 'toy/train-images.npz', outdated),
    tmp_path,
    allow_unverified=True,
  )
  made.assert_read(arrays)
  assert set(arrays.proofs.values()) == {Proof.SHA256}


def test_without_a_fingerprint_only_the_hash_proves(made, tmp_path):
  packed_anew = synthetic.npz(made.arrays['train'][0])
  source = synthetic.replace_file(made.source, TRAIN_IMAGES, fingerprint=None)
  other = dataclasses.replace(
    _with(made, TRAIN_IMAGES, packed_anew), source=source
  )
  with pytest.raises(OriginFileError, match=r'no fingerprint .* is known'):
    _read(other, tmp_path)


def test_smaller_stand_ins_are_read_where_allowed(made, tmp_path):
  images, labels = (array[:5] for array in made.arrays['train'])
  small = _with(
    _with(made, TRAIN_IMAGES, synthetic.idx(images)),
    TRAIN_LABELS,
    synthetic.idx(labels),
  )
  with pytest.raises(OriginFileError, match=r'\(40, 28, 28\), found \(5, 28'):
    _read(small, tmp_path)
  arrays = _read(small, tmp_path, allow_unverified=True)
  np.testing.assert_array_equal(arrays.images, images)
  np.testing.assert_array_equal(arrays.labels, labels)


_IMAGES, _LABELS = synthetic.make().arrays['train']


@pytest.mark.parametrize(
  ('path', 'data', 'message'),
  [
    (TRAIN_IMAGES, b'', 'it is empty: delete it and fetch it anew'),
    (TRAIN_IMAGES, b'<html>moved</html>', 'it is an HTML page'),
    (
      TRAIN_IMAGES,
      synthetic.idx(_IMAGES)[:-9],
      r'cut short: .*; expected 31,404 bytes, found 31,395',
    ),
    (
      TRAIN_IMAGES,
      gzip.compress(synthetic.idx(_IMAGES), mtime=0),
      'run `gunzip` on it once',
    ),
    (
      TRAIN_IMAGES,
      synthetic.idx(_IMAGES[:, :27]),
      r'\(40, 28, 28\), found \(40, 27, 28\)',
    ),
    (
      TRAIN_IMAGES,
      synthetic.idx(_LABELS),
      r'\(40, 28, 28\), found \(40,\)',
    ),
    (
      TRAIN_IMAGES,
      synthetic.idx(np.concatenate([_IMAGES, _IMAGES])),
      r'\(40, 28, 28\), found \(80, 28, 28\)',
    ),
    (
      TRAIN_LABELS,
      synthetic.idx(_LABELS[:-1]),
      '40 images and .* has 39 labels',
    ),
    (
      TRAIN_LABELS,
      synthetic.idx(_LABELS + 1),
      'expected labels from 0 to 1, found 1 to 2',
    ),
  ],
)
def test_faults_are_named_even_where_unverified_files_are_allowed(
  path, data, message, made, tmp_path
):
  with pytest.raises(OriginFileError) as raised:
    _read(_with(made, path, data), tmp_path, allow_unverified=True)
  text = ' '.join(str(raised.value).split())
  assert re.search(message, text), text
  assert path in text
  assert 'etch' in text or 'get it from' in text


def test_labels_below_the_first_are_refused(made, tmp_path):
  source = dataclasses.replace(made.source, first_label=1)
  with pytest.raises(OriginFileError, match='labels from 1 to 2, found 0 to 1'):
    _read(dataclasses.replace(made, source=source), tmp_path)


def test_counts_of_classes_must_agree(made, tmp_path):
  labels = made.arrays['train'][1].copy()
  labels[0] = 1
  other = _with(made, TRAIN_LABELS, synthetic.idx(labels), recorded=True)
  with pytest.raises(OriginFileError, match=r'\(20, 20\) .* found \(19, 21\)'):
    _read(other, tmp_path)


def test_a_missing_file_is_told_with_all_locations(made, tmp_path):
  both = Locations(manual_dir=tmp_path / 'a', mirror=str(tmp_path / 'b'))
  with pytest.raises(OriginFileError) as raised:
    origin.load_split.load_split(made.source, 'train', both)
  assert str(raised.value) == (
    f'{TRAIN_IMAGES} was not found (looked in: {tmp_path}/a, {tmp_path}/b)\n'
    f'To go on, get it from http://127.0.0.1:9/{TRAIN_IMAGES} and put it at'
    f' {tmp_path}/a/{TRAIN_IMAGES}.'
  )


def test_a_zip_file_without_the_member_is_told(tmp_path):
  made = synthetic.make(form='zip')
  other = synthetic.zipped({'../gzip/train-images.gz': b'', 'readme': b''})
  made = dataclasses.replace(made, files={'toy/gzip.zip': other})
  with pytest.raises(OriginFileError, match=r'a member gzip/train-images\.gz'):
    _read(made, tmp_path)
  assert [p.name for p in tmp_path.rglob('*.gz')] == []


@pytest.mark.parametrize(
  ('data', 'message'),
  [
    (b'', 'it is empty'),
    (b'<!DOCTYPE html>', 'it is an HTML page'),
    (b'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'),
    (synthetic.zipped({'matlab/emnist.mat': b''}), r"EMNIST's matlab\.zip"),
    (synthetic.make(form='zip').files['toy/gzip.zip'][:-30], 'cannot be read'),
  ],
)
def test_a_wrong_archive_is_named(data, message, tmp_path):
  made = synthetic.make(form='zip')
  made = dataclasses.replace(made, files={'toy/gzip.zip': data})
  with pytest.raises(OriginFileError, match=message):
    _read(made, tmp_path)


def test_a_member_of_absurd_size_is_not_inflated(tmp_path):
  made = synthetic.make(form='zip')
  bomb = gzip.compress(bytes(40 << 20), mtime=0)
  other = synthetic.zipped({'gzip/train-images.gz': bomb})
  made = dataclasses.replace(made, files={'toy/gzip.zip': other})
  with pytest.raises(OriginFileError, match='expected IDX data'):
    _read(made, tmp_path, allow_unverified=True)


@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
def test_what_is_decoded_is_what_is_proved(form, tmp_path, monkeypatch):
  """A file that another process changes between any two reads of it."""
  right = synthetic.make(form=form)
  name = {'idx': TRAIN_IMAGES, 'npz': 'toy/train-images.npz'}.get(
    form, 'toy/gzip.zip'
  )
  other = synthetic.make(form=form, seed=1).files[name]
  for turn in range(12):
    right.write(tmp_path)
    reads = 0
    readinto = verification.ProvingReader.readinto

    def toggling(self, buffer, turn=turn, readinto=readinto):
      nonlocal reads
      reads += 1
      if reads >= turn:
        data = other if reads % 2 else right.files[name]
        with (tmp_path / name).open('r+b') as out:
          out.write(data)
      return readinto(self, buffer)

    monkeypatch.setattr(verification.ProvingReader, 'readinto', toggling)
    try:
      arrays = origin.load_split.load_split(
        right.source, 'train', Locations(manual_dir=tmp_path)
      )
    except OriginFileError:
      continue
    finally:
      monkeypatch.undo()
    right.assert_read(arrays)


def test_a_file_is_read_once(made, tmp_path, monkeypatch):
  made.write(tmp_path)
  count = 0
  readinto = verification.ProvingReader.readinto

  def counting(self, buffer):
    nonlocal count
    found = readinto(self, buffer)
    count += found
    return found

  monkeypatch.setattr(verification.ProvingReader, 'readinto', counting)
  made.assert_read(
    origin.load_split.load_split(
      made.source, 'train', Locations(manual_dir=tmp_path)
    )
  )
  assert count == sum(
    len(made.files[path]) for path in (TRAIN_IMAGES, TRAIN_LABELS)
  )


def test_wrong_copies_are_passed_over(made, tmp_path):
  file = made.source.splits['train'].images
  assert (
    load_split.find_proved_copy(file, Locations(manual_dir=tmp_path)) is None
  )
  made.write(tmp_path / 'right')
  _with(made, TRAIN_IMAGES, b'wrong').write(tmp_path / 'wrong')
  both = Locations(
    manual_dir=tmp_path / 'wrong', mirror=str(tmp_path / 'right')
  )
  copy = load_split.find_proved_copy(file, both)
  assert copy is not None
  assert copy.path == tmp_path / 'right' / TRAIN_IMAGES


def test_every_image_of_a_large_split_is_turned_upright(tmp_path):
  made = synthetic.make(form='zip', sizes=synthetic.SIZES | {'train': 10_000})
  made.assert_read(_read(made, tmp_path))


def _local(origin_files: pathlib.Path):
  for source in SOURCES:
    for file, shape in source.origin_files.items():
      for copy in locations.copies_on_disk(
        file, Locations(manual_dir=origin_files)
      ):
        yield file, copy, shape


def test_recorded_fingerprints_are_those_of_the_files(origin_files):
  checked = 0
  for file, copy, shape in _local(origin_files):
    array, proof = load_split.read_copy(copy, shape)
    assert proof is Proof.SHA256, copy
    assert verification.fingerprint(array) == file.fingerprint, copy
    checked += 1
  assert checked


def test_kannada_mnist_as_idx_is_proved_by_its_content(origin_files, tmp_path):
  (source,) = (s for s in SOURCES if s.key == 'Kd')
  other = origin_files / source.folder / 'other'
  (tmp_path / source.folder).mkdir()
  for letter, part in (('X', 'idx3'), ('y', 'idx1')):
    path = other / f'{letter}_kannada_MNIST_test-{part}-ubyte.gz'
    renamed = tmp_path / source.folder / f'{letter}_kannada_MNIST_test.npz'
    renamed.write_bytes(path.read_bytes())
  arrays = origin.load_split.load_split(
    source, 'test', Locations(manual_dir=tmp_path)
  )
  assert set(arrays.proofs.values()) == {Proof.FINGERPRINT}


def test_mnist_is_not_taken_for_fashion_mnist(origin_files, tmp_path):
  (source,) = (s for s in SOURCES if s.key == 'F')
  (tmp_path / 'fashion_mnist').symlink_to(origin_files / 'mnist')
  with pytest.raises(OriginFileError, match='expected 4,422,102 bytes'):
    origin.load_split.load_split(source, 'test', Locations(manual_dir=tmp_path))


def test_mutated_files_give_the_right_pixels_or_the_one_error():
  program = pathlib.Path(__file__).parent / 'programs/mutate_origin_files.py'
  done = subprocess.run(
    [sys.executable, program, '--count', '300'],
    env={**os.environ, 'PYTHONPATH': str(program.parent.parent.parent)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'one clear error: ' in done.stdout
