# SPDX-License-Identifier: Apache-2.0
"""Nothing of a downloaded or foreign file is executed."""

from __future__ import annotations

import io
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from contract.datasets import Toy


class _Payload:
  """Whoever unpickles it makes a file."""

  def __init__(self, path: pathlib.Path) -> None:
    self._path = path

  def __reduce__(self) -> tuple[object, tuple[str]]:
    return pathlib.Path.touch, (self._path,)


@pytest.fixture
def touched(tmp_path):
  """The file that code of a foreign file would make."""
  path = tmp_path / 'executed'
  yield path
  assert not path.exists()


def _npy(payload) -> bytes:
  out = io.BytesIO()
  np.save(out, np.array([payload] * 480, object), allow_pickle=True)
  return out.getvalue()


def _npz(payload, *names) -> bytes:
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w') as archive:
    for name in names:
      archive.writestr(f'{name}.npy', _npy(payload))
  return out.getvalue()


@pytest.mark.parametrize('name', ['p.npz', 'p.npy', 'p.csv'])
def test_predictions(cmnist, sample, tmp_path, touched, name):
  payload = _Payload(touched)
  data = {
    'p.npz': _npz(payload, 'prediction', 'label', 'subset', 'class_names'),
    'p.npy': _npy(payload),
    'p.csv': pickle.dumps(payload),
  }[name]
  (tmp_path / name).write_bytes(data)
  done = cmnist.run(
    'evaluate', '2-FKd', tmp_path / name, *sample, '--assume_order'
  )
  assert done.status == 1
  assert name in done.error


@pytest.mark.parametrize(
  'names', [['train_images', 'train_labels'], ['arr_0'], ['x_train']]
)
def test_origin_files(cmnist, tmp_path, touched, names):
  toy = Toy(tmp_path)
  payload = _Payload(touched)
  (toy.manual / 'all.npz').write_bytes(_npz(payload, *names))
  (toy.manual / 'train-images.npy').write_bytes(_npy(payload))
  toy.write(**{'train-images.gz': pickle.dumps(payload)})
  done = cmnist.run(
    *('build', '1-Ty', *toy.where, '--allow_unverified'),
    CMNIST_CACHE_DIR=tmp_path / 'cache',
  )
  assert done.status == 1
  assert 'train-images.gz' in done.err


def test_a_source_that_is_drafted(cmnist, tmp_path, touched):
  payload = _Payload(touched)
  names = ('x_train', 'y_train', 'x_test', 'y_test')
  (tmp_path / 'x.npz').write_bytes(_npz(payload, *names))
  done = cmnist.run('source', 'new', 'x.npz', '--key', 'Xy', cwd=tmp_path)
  assert done.status == 1
  assert 'x.npz' in done.error


@pytest.mark.parametrize(
  'path', ['../outside.gz', '/etc/passwd', 'toy/../../x', 'a/b/c/d.gz']
)
def test_a_declaration_leads_nowhere_else(cmnist, tmp_path, path):
  toy = Toy(tmp_path)
  text = toy.declaration.read_text('utf-8')
  toy.declaration.write_text(text.replace('toy/train-images.gz', path), 'utf-8')
  done = cmnist.run('source', 'check', toy.declaration)
  assert done.status == 1
  assert 'path' in done.err
  assert cmnist.run('build', '1-Ty', *toy.where).status


@pytest.mark.slow  # It imports PyTorch.
def test_weights_of_a_network(cmnist, sample, tmp_path, touched):
  torch = pytest.importorskip('torch')
  path = tmp_path / 'resnet18.pth'
  for weights in (_Payload(touched), {'conv1.weight': _Payload(touched)}):
    torch.save(weights, path)
    done = cmnist.run(
      *('baseline', 'net', '2-FKd-r-1', *sample, '--net', 'resnet18'),
      *('--weights', path, '-o', tmp_path / 'results'),
    )
    assert done.status == 1
    assert 'resnet18.pth' in done.error
