# SPDX-License-Identifier: Apache-2.0
"""Right, wrong and missing files are told apart."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
import synthetic

from cmnist_tfds.origin import Locations, Proof, audit, fingerprint


def _audit(made, folder, **kwargs):
  where = Locations(manual_dir=made.write(folder))
  findings = audit.audit([made.source], where, **kwargs)
  return {finding.file.path: finding for finding in findings}


@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
def test_right_files_are_reported_with_path_and_proof(form, tmp_path):
  made = synthetic.make(form=form)
  findings = _audit(made, tmp_path)
  assert len(findings) == 4
  for path, finding in findings.items():
    assert finding.proof is Proof.SHA256
    assert finding.fault == finding.sha256 == finding.fingerprint == ''
    assert finding.copy.path == tmp_path / (
      'toy/gzip.zip' if form == 'zip' else path
    )


@pytest.mark.parametrize('hashes', [False, True])
def test_missing_and_wrong_files_are_reported(hashes, tmp_path):
  made = synthetic.make()
  images, labels = made.arrays['test']
  files = {
    'toy/train-labels.gz': b'<html>',
    'toy/test-images.gz': synthetic.npz(images),
    'toy/test-labels.gz': synthetic.idx(labels ^ 1),
  }
  made = dataclasses.replace(made, files=files)
  missing, html, packed_anew, wrong = _audit(
    made, tmp_path, hashes=hashes
  ).values()
  assert missing.copy is None and missing.proof is None
  assert missing.fault == (
    f'toy/train-images.gz: not found in {tmp_path}. Download it from'
    ' http://127.0.0.1:9/toy/train-images.gz and save it as'
    f' {tmp_path}/toy/train-images.gz'
  )
  assert f'{tmp_path}/toy/train-labels.gz: it is an HTML page' in html.fault
  assert html.copy and html.proof is None
  assert packed_anew.proof is Proof.FINGERPRINT and not packed_anew.fault
  assert 'its content is not the published one' in wrong.fault
  if hashes:
    found = [f.fingerprint for f in (missing, html, packed_anew, wrong)]
    assert found == ['', '', fingerprint(images), fingerprint(labels ^ 1)]
    for path, finding in zip(files, (html, packed_anew, wrong), strict=True):
      assert finding.sha256 == hashlib.sha256(files[path]).hexdigest()


def test_what_is_missing_is_listed_with_sizes_and_one_remedy(tmp_path):
  made = synthetic.make()
  where = Locations(manual_dir=tmp_path)
  lines = audit.missing([made.source], where)
  assert lines[0] == '- toy/train-images.gz, 31,404 bytes'
  assert len(lines) == 5
  assert lines[-1] == (
    'Download it from http://127.0.0.1:9/toy/train-images.gz and save it as'
    f' {tmp_path}/toy/train-images.gz; 3 more likewise.'
  )
  made.write(tmp_path)
  assert audit.missing([made.source], where) == []
