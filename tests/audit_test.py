# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import hashlib

import pytest
import synthetic

from cmnist_tfds.origin import Locations, Proof, audit, verification
from cmnist_tfds.sources import SOURCES


def _audit(made, folder, **kwargs):
  made.write(folder)
  findings = audit.audit([made.source], Locations(manual_dir=folder), **kwargs)
  return {finding.file.path: finding for finding in findings}


@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
def test_right_files_are_reported_with_path_and_proof(form, tmp_path):
  made = synthetic.make(form=form)
  findings = _audit(made, tmp_path)
  assert len(findings) == 4
  for path, finding in findings.items():
    assert finding.proof is Proof.SHA256
    assert finding.fault == ''
    assert finding.size == finding.file.size
    assert finding.copy.path == tmp_path / (
      'toy/gzip.zip' if form == 'zip' else path
    )
    assert finding.sha256 is None and finding.fingerprint is None


def test_missing_and_wrong_files_are_reported(tmp_path):
  made = synthetic.make()
  files = dict(made.files)
  del files['toy/train-images.gz']
  files['toy/train-labels.gz'] = b'<html>'
  files['toy/test-images.gz'] = synthetic.npz(made.arrays['test'][0])
  findings = _audit(dataclasses.replace(made, files=files), tmp_path)
  missing, html, packed_anew, right = findings.values()
  assert missing.copy is None and missing.proof is None
  assert missing.fault == (
    'missing: get it from http://127.0.0.1:9/toy/train-images.gz and put it at'
    f' {tmp_path}/toy/train-images.gz.'
  )
  assert f'{tmp_path}/toy/train-labels.gz: it is an HTML page' in html.fault
  assert html.size == 6 and html.proof is None
  assert packed_anew.proof is Proof.FINGERPRINT and not packed_anew.fault
  assert right.proof is Proof.SHA256


def test_a_right_copy_counts_after_a_wrong_one(tmp_path):
  made = synthetic.make()
  made.write(tmp_path / 'right')
  wrong = tmp_path / 'wrong'
  dataclasses.replace(made, files=dict.fromkeys(made.files, b'wrong')).write(
    wrong
  )
  both = Locations(manual_dir=wrong, mirror=str(tmp_path / 'right'))
  for finding in audit.audit([made.source], both):
    assert not finding.fault
    assert finding.copy.path == tmp_path / 'right' / finding.file.path


def test_hashes_let_an_unknown_file_be_reported(tmp_path):
  made = synthetic.make()
  images = made.arrays['train'][0] ^ 1
  data = synthetic.idx(images)
  other = dataclasses.replace(
    made, files=made.files | {'toy/train-images.gz': data}
  )
  unknown, right, *_ = _audit(other, tmp_path, hashes=True).values()
  assert 'its content is not the published one' in unknown.fault
  assert unknown.sha256 == hashlib.sha256(data).hexdigest()
  assert unknown.fingerprint == verification.fingerprint(images)
  assert right.sha256 == right.file.sha256
  assert right.fingerprint == right.file.fingerprint


def test_what_cannot_be_read_has_no_fingerprint(tmp_path):
  made = synthetic.make(form='zip')
  (tmp_path / 'toy').mkdir()
  (tmp_path / 'toy/gzip.zip').write_bytes(b'no zip file')
  found_in = Locations(manual_dir=tmp_path)
  for finding in audit.audit([made.source], found_in, hashes=True):
    assert 'cannot be read' in finding.fault
    assert finding.fingerprint is None


def test_files_at_hand_are_right(origin_files):
  found_in = Locations(manual_dir=origin_files)
  findings = list(audit.audit(SOURCES, found_in, hashes=True))
  assert len(findings) == 4 * len(SOURCES)
  found = [finding for finding in findings if finding.copy]
  assert found
  for finding in found:
    assert finding.proof is Proof.SHA256
    assert finding.fingerprint == finding.file.fingerprint
    assert finding.sha256 == finding.copy.file.sha256
