# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.system.errors import TfdsVersionError

_PACKAGE = pathlib.Path(tfds_internals.__file__).parent.parent


def test_all_is_there():
  tfds_internals.check_classes()


def test_a_method_that_tfds_has_renamed_is_named(monkeypatch):
  monkeypatch.delattr(tfds.download.DownloadManager, '_get_dl_path')
  with pytest.raises(TfdsVersionError) as raised:
    tfds_internals.check_classes()
  message = str(raised.value)
  assert message.startswith(f'TensorFlow Datasets {tfds.__version__} lacks')
  assert 'DownloadManager._get_dl_path. ' in message
  assert f'tensorflow-datasets=={tfds_internals.TRIED[-1]}`' in message


def test_an_attribute_that_tfds_has_renamed_is_named(tmp_path):
  manager = tfds.download.DownloadManager(download_dir=tmp_path)
  tfds_internals.check_instance(manager)
  del manager._url_infos
  with pytest.raises(TfdsVersionError, match=r'DownloadManager\._url_infos\.'):
    tfds_internals.check_instance(manager)


def test_a_function_that_tfds_has_renamed_is_named():
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      'from tensorflow_datasets.core.download import resource\n'
      'del resource.get_dl_fname\n'
      'import cmnist_tfds',
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert "cannot import name 'get_dl_fname'" in done.stderr
  assert done.stderr.splitlines()[-1].startswith(
    'cmnist_tfds.system.errors.TfdsVersionError: TensorFlow Datasets'
  )


def test_no_other_module_imports_what_is_not_public():
  for path in _PACKAGE.rglob('*.py'):
    if path.name != 'tfds_internals.py':
      assert 'tensorflow_datasets.core import' not in path.read_text('utf-8')
      assert 'from tensorflow_datasets.core.' not in path.read_text('utf-8')
