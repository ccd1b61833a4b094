# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib
import pickle
import resource
import signal
import subprocess
import sys
import time
from unittest import mock

import faulty_server
import pytest
import requests
import synthetic
import tensorflow_datasets as tfds

from cmnist_tfds import origin
from cmnist_tfds.datasets import download_manager
from cmnist_tfds.origin import limits
from cmnist_tfds.system.errors import OriginFileError, PreparationError

LIMITS = limits.Limits(silence=5.0, attempts=2, pause=0.01)
IMAGES = 'toy/train-images.gz'

_TESTS = pathlib.Path(__file__).resolve().parent
# Made for 127.0.0.1, valid until 2126, with its private key.
_CERTIFICATE = _TESTS / 'certificate.pem'


def _manager(folder, made, mirror=None, **kwargs):
  return download_manager.OriginDownloadManager(
    download_dir=folder,
    dataset_name='cmnist',
    mirror=mirror,
    sources=[made.source],
    limits=LIMITS,
    **kwargs,
  )


def _read(manager, made, split='train'):
  return origin.load_split.load_split(made.source, split, manager.locations)


@pytest.fixture(autouse=True)
def _no_progress_bars():
  tfds.disable_progress_bar()


@pytest.fixture
def server():
  with faulty_server.serve({}) as served:
    yield served


@pytest.fixture(params=['idx', 'npz', 'zip'])
def made(request, server):
  made = synthetic.make((server.home('ok'),), form=request.param)
  server.files.update(made.files)
  return made


@pytest.fixture
def plain(server):
  made = synthetic.make((server.home('ok'),))
  server.files.update(made.files)
  return made


def _unproved(made):
  """Returns the source with no SHA-256 known of its training images."""
  source = synthetic.replace_file(made.source, IMAGES, sha256=None)
  return synthetic.Made(source, made.files, made.arrays)


def test_files_are_fetched_once(made, server, tmp_path):
  made.assert_read(_read(_manager(tmp_path, made), made))
  asked = len(server.requests)
  made.assert_read(_read(_manager(tmp_path, made), made))
  assert len(server.requests) == asked


def test_a_file_of_unknown_sha256_is_fetched_once(plain, server, tmp_path):
  made = _unproved(plain)
  for _ in range(2):
    arrays = _read(_manager(tmp_path, made), made)
    assert arrays.proofs[IMAGES] is origin.Proof.MD5
  assert len(server.requests) == 2


@pytest.mark.parametrize('sha256', ['known', 'unknown'])
def test_what_came_from_a_mirror_is_not_fetched_from_the_origin(
  sha256, plain, server, tmp_path
):
  made = plain if sha256 == 'known' else _unproved(plain)
  mirror = server.home('norange')
  _read(_manager(tmp_path, made, mirror), made)
  asked = len(server.requests)
  # The other way round, too: what came from the origin, now with a mirror.
  _read(_manager(tmp_path, made, mirror), made, split='test')
  _read(_manager(tmp_path, made, mirror), made, split='test')
  assert len(server.requests) == asked + 2
  made.assert_read(_read(_manager(tmp_path, made, mirror), made))
  assert len(server.requests) == asked + 2


def test_members_come_from_homes_of_their_own(server, tmp_path):
  made = synthetic.with_members_alone(
    synthetic.make((server.home('404'),), form='zip'), server.home('ok')
  )
  server.files.update(made.files)
  made.assert_read(_read(_manager(tmp_path, made), made))


@pytest.mark.parametrize('name', ['emnist', 'fashion_mnist', 'kmnist'])
def test_what_tfds_has_fetched_is_not_fetched_again(
  name, plain, server, tmp_path
):
  from tensorflow_datasets.core.download import checksums

  files = list(plain.source.splits['train'].files)
  stock = tfds.download.DownloadManager(
    download_dir=tmp_path,
    dataset_name=name,
    url_infos={
      file.urls[0]: checksums.UrlInfo(
        size=file.size, checksum=file.sha256, filename=file.name
      )
      for file in files
    },
  )
  stock.download([file.urls[0] for file in files])
  asked = len(server.requests)
  plain.assert_read(_read(_manager(tmp_path, plain), plain))
  assert len(server.requests) == asked == 2


def test_an_archive_at_hand_saves_fetching_its_members(server, tmp_path):
  made = synthetic.make((server.home('ok'),), form='zip')
  server.files.update(made.files)
  archive = made.source.splits['train'].images.archive
  _manager(tmp_path, made).download(archive.urls[0])
  asked = len(server.requests)
  made.assert_read(_read(_manager(tmp_path, made), made))
  assert len(server.requests) == asked


def test_members_cost_less_than_their_archive(server, tmp_path):
  made = synthetic.make((server.home('ok'),), form='zip')
  server.files.update(made.files)
  manager = _manager(tmp_path, made)
  made.assert_read(_read(manager, made))
  assert manager.downloaded_size < len(made.files['toy/gzip.zip']) / 2
  assert all(asked_range for _, asked_range in server.requests)


def test_a_download_cut_short_is_fetched_anew(plain, server, tmp_path):
  manager = _manager(tmp_path, plain)
  path = manager.download(f'{server.home("ok")}{IMAGES}')
  path.write_bytes(path.read_bytes()[:99])
  plain.assert_read(_read(_manager(tmp_path, plain), plain))


def test_a_download_that_was_damaged_is_named(plain, server, tmp_path):
  manager = _manager(tmp_path, plain)
  path = manager.download(f'{server.home("ok")}{IMAGES}')
  path.write_bytes(bytes(path.stat().length))
  with pytest.raises(OriginFileError) as raised:
    _read(_manager(tmp_path, plain), plain)
  assert f'- {path}: expected IDX data' in str(raised.value)
  assert 'Delete it to fetch it anew' in str(raised.value)


def test_a_download_can_be_forced(plain, server, tmp_path):
  for _ in range(2):
    _read(_manager(tmp_path, plain, force_download=True), plain)
  assert len(server.requests) == 4


@pytest.mark.filterwarnings('ignore:Unverified HTTPS request')
def test_certificates_are_checked_unless_told_otherwise(tmp_path, monkeypatch):
  monkeypatch.setenv('REQUESTS_CA_BUNDLE', requests.certs.where())
  files = synthetic.make().files
  with faulty_server.serve(files, certificate=_CERTIFICATE) as server:
    made = synthetic.make((server.home('ok'),))
    with pytest.raises(OriginFileError, match='certificate verify failed'):
      _read(_manager(tmp_path, made), made)
    made.assert_read(_read(_manager(tmp_path, made, verify_ssl=False), made))
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(_CERTIFICATE))
    made.assert_read(_read(_manager(tmp_path / 'other', made), made))


def test_a_password_of_a_mirror_is_sent_and_kept_nowhere(
  made, server, tmp_path, caplog
):
  mirror = server.home('ok').replace('//', '//user:secret@')
  manager = _manager(
    tmp_path / 'downloads',
    made,
    mirror,
    register_checksums=True,
    register_checksums_path=tmp_path / 'checksums.tsv',
  )
  _read(manager, made)
  assert server.passwords
  written = [path for path in tmp_path.rglob('*') if path.is_file()]
  assert any(path.suffix == '.INFO' for path in written)
  for path in written:
    assert 'secret' not in str(path)
    assert b'secret' not in path.read_bytes()
  assert 'secret' not in caplog.text


def test_a_mirror_that_does_not_serve_a_file_is_named(
  plain, server, tmp_path, caplog
):
  made = plain
  wrong = tmp_path / 'manual' / IMAGES
  wrong.parent.mkdir(parents=True)
  wrong.write_bytes(b'wrong')
  _read(_manager(tmp_path, made, server.home('404')), made)
  assert f'the mirror does not serve {IMAGES}: ' in caplog.text
  # What is wrong with other copies is not the mirror's fault.
  assert str(wrong) not in caplog.text
  assert 'HTTP 404 Not Found' in caplog.text


def test_proxies_of_the_environment_are_used(server, tmp_path, monkeypatch):
  monkeypatch.setenv('http_proxy', server.base)
  monkeypatch.delenv('no_proxy', raising=False)
  made = synthetic.make(('http://nowhere.example/ok/',))
  server.files.update(made.files)
  made.assert_read(_read(_manager(tmp_path, made), made))
  assert server.requests[0][0].startswith('http://nowhere.example/ok/toy/')


def test_a_proxy_that_fails_is_blamed(server, tmp_path, monkeypatch):
  monkeypatch.setenv('http_proxy', 'http://user:secret@127.0.0.1:9')
  monkeypatch.delenv('no_proxy', raising=False)
  made = synthetic.make(('http://nowhere.example/ok/',))
  with pytest.raises(OriginFileError, match='by the proxy that the') as raised:
    _read(_manager(tmp_path, made), made)
  assert 'secret' not in str(raised.value)


def test_forced_validation_of_checksums_knows_all_homes(server, tmp_path):
  made = synthetic.make((server.home('ok'),), form='zip')
  server.files.update(made.files)
  manager = _manager(tmp_path, made, force_checksums_validation=True)
  made.assert_read(_read(manager, made))


def test_methods_patched_in_the_stock_class_are_patched_here(plain, tmp_path):
  manager = _manager(tmp_path, plain)
  with mock.patch.multiple(
    'tensorflow_datasets.core.download.DownloadManager',
    download=lambda self, url: f'patched {url}',
    download_dir='patched',
  ):
    assert manager.download('url') == 'patched url'
    assert manager.download_dir == 'patched'


def test_it_can_be_pickled(plain, server, tmp_path):
  manager = _manager(tmp_path, plain)
  _read(manager, plain)
  copy = pickle.loads(pickle.dumps(manager))
  assert copy.cached(plain.source.splits['train'].images)


def test_a_folder_that_cannot_be_written_is_told(plain, server, tmp_path):
  manager = _manager(tmp_path, plain)
  (tmp_path / 'cmnist').touch()
  with pytest.raises(
    PreparationError, match=r'^Cannot make a lock file in \S+/cmnist: File exi'
  ):
    _read(manager, plain)
  assert not server.requests


def test_a_download_dir_that_cannot_be_made_is_told(plain, tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(
    PreparationError, match=r'file/downloads: .* Choose another download_dir'
  ):
    _manager(tmp_path / 'file' / 'downloads', plain)


def test_the_manual_folder_is_in_the_download_dir_by_default(plain, tmp_path):
  manager = _manager(tmp_path, plain)
  assert manager.locations.manual_dir == tmp_path / 'manual'
  manager = _manager(tmp_path, plain, manual_dir=tmp_path / 'mine')
  assert manager.locations.manual_dir == tmp_path / 'mine'


def test_urls_of_other_managers_are_left_alone(plain, tmp_path):
  """TFDS shares one table of checksums among all managers."""
  _manager(tmp_path, plain)
  url = plain.source.splits['train'].images.urls[0]
  stock = tfds.download.DownloadManager(
    download_dir=tmp_path, dataset_name='other', force_checksums_validation=True
  )
  with pytest.raises(ValueError, match='Missing checksums url'):
    stock.download(url)


def test_a_disk_that_is_full_is_told_and_what_came_is_kept(
  plain, server, tmp_path
):
  size = len(plain.files[IMAGES])
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
  try:
    with pytest.raises(OriginFileError, match=r'Cannot write to \S+: File too'):
      _read(_manager(tmp_path, plain), plain)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, old)
  plain.assert_read(_read(_manager(tmp_path, plain), plain))
  assert server.requests[1] == (f'/ok/{IMAGES}', f'bytes={size // 2}-')


def _start(home, folder):
  process = subprocess.Popen(
    [sys.executable, _TESTS / 'programs' / 'download_split.py', home, folder],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'ready\n'
  return process


def test_a_killed_download_is_continued(server, tmp_path):
  made = synthetic.make((server.home('stall'),))
  server.files.update(made.files)
  process = _start(server.home('stall'), tmp_path)
  process.stdin.write('\n')
  process.stdin.flush()
  part = tmp_path / 'cmnist' / f'{IMAGES.replace("/", "-")}.part'
  while not part.exists() or not part.stat().st_size:
    assert process.poll() is None
    time.sleep(0.01)
  process.kill()
  process.communicate()
  got = part.stat().st_size
  finished = synthetic.make((server.home('ok'),))
  finished.assert_read(_read(_manager(tmp_path, finished), finished))
  assert (f'/ok/{IMAGES}', f'bytes={got}-') in server.requests


def _files(folder):
  return {path.name for path in folder.iterdir() if path.suffix != '.lock'}


def test_what_a_killed_download_has_left_is_removed(server, tmp_path):
  made = synthetic.make((server.home('stall'),))
  server.files.update(made.files)
  folder = tmp_path / 'cmnist'
  process = _start(server.home('stall'), tmp_path)
  process.stdin.write('\n')
  process.stdin.flush()
  part = folder / f'{IMAGES.replace("/", "-")}.part'
  while not part.exists() or not part.stat().st_size:
    assert process.poll() is None
    time.sleep(0.01)
  manual_dir = made.write(tmp_path / 'mine')
  # It is still being fetched.
  left = _files(folder)
  _manager(tmp_path, made, manual_dir=manual_dir)
  assert _files(folder) == left
  assert len(left) == 2
  process.kill()
  process.communicate()
  # What was fetched is of use while the file is missing.
  _manager(tmp_path, made)
  assert _files(folder) == {part.name}
  _manager(tmp_path, made, manual_dir=manual_dir)
  assert _files(folder) == set()


def test_two_processes_at_once_end_with_one_good_copy(plain, server, tmp_path):
  home = server.home('ok')
  processes = [_start(home, tmp_path) for _ in range(2)]
  for process in processes:
    process.stdin.write('\n')
    process.stdin.flush()
  for process in processes:
    process.communicate()
    assert process.returncode == 0
  assert len(server.requests) == 2
  left = [path.name for path in (tmp_path / 'cmnist').iterdir()]
  assert len([name for name in left if name.endswith('.gz')]) == 2
  assert not [name for name in left if '.tmp.' in name or '.part' in name]
