# SPDX-License-Identifier: Apache-2.0
"""Downloads survive faulty hosts, or fail with a clear line.

If the faulty host is the only one, the error names the fault, where to get the
file and where to save it. If a working host follows it, the download succeeds.
"""

import concurrent.futures
import contextlib
import pathlib
import re
import time
from collections.abc import Iterator

import faulty_server
import msgspec
import pytest
import synthetic

from cmnist_tfds.origin import Locations, Proof, fetch, load_split
from cmnist_tfds.system.errors import OriginFileError

IMAGES = 'toy/train-images.gz'

_CERTIFICATE = pathlib.Path(__file__).parent / 'certificate.pem'

# What a host does wrong, and what is said of it.
_SERVER = r'http://127\.0\.0\.1:\d+: '
_FILE = r'http://127\.0\.0\.1:\d+/\w+/toy/train-images\.gz: '
FAULTS = {
  'refuses': _SERVER + 'Connection refused',
  'hang': _SERVER + 'timed out; --timeout SECONDS waits longer',
  'stall': _SERVER + 'timed out; --timeout SECONDS waits longer',
  'drip': _SERVER + 'less than 2,000 bytes a second came; --timeout',
  'drop': _SERVER + 'Remote end closed connection without response',
  'close': _SERVER + r'IncompleteRead\(1 bytes read',
  'no_http': _SERVER + r'220 mail\.example \[2JESMTP',
  'loop': _SERVER + 'Exceeded 30 redirects',
  'to_file': _SERVER + 'No connection adapters were found for',
  '401': _FILE + 'HTTP 401 Unauthorized',
  '404': _FILE + 'HTTP 404 Not Found',
  '500': _SERVER + 'HTTP 500',
  'html': _FILE + 'it is an HTML page',
  'lfs': _FILE + 'it is a Git LFS pointer',
  'wrong': _FILE + 'expected the SHA-256 [0-9a-f]{64}, found another',
  'long': _FILE + r'expected 31,404 bytes, found more',
}

# What a patient client need not call a fault.
HARDSHIPS = ('slow', 'norange', 'unsteady', 'moody', 'gzip_declared')


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch):
  """Attempts follow each other at once."""
  monkeypatch.setattr(time, 'sleep', lambda seconds: None)


@contextlib.contextmanager
def _homes(fault: str, **kwargs) -> Iterator[tuple[str, str]]:
  """Yields a home with the fault and one without."""
  files = synthetic.make(**kwargs).files
  with (
    faulty_server.serve(files) as good,
    # A host of its own: a dead one is not asked a second time.
    faulty_server.serve(files) as server,
  ):
    closed = 'http://127.0.0.1:9/'
    yield closed if fault == 'refuses' else server.home(fault), good.home('ok')


def _load(folder, made, split='train', **kwargs):
  return made.load(split, download_dir=folder, **{'timeout': 0.5, **kwargs})


def _fetch(url, folder):
  """Fetches the training images of a synthetic source from a URL."""
  images = synthetic.make().source.train.images
  file = msgspec.structs.replace(images, urls=(url,))
  return fetch.fetch(file, folder, Locations(timeout=0.5))


@pytest.mark.parametrize('fault', FAULTS)
def test_the_only_home_has_the_fault(fault, tmp_path):
  with _homes(fault) as (bad, _), pytest.raises(OriginFileError) as raised:
    _load(tmp_path, synthetic.make((bad,)))
  message = str(raised.value)
  assert '\n' not in message
  assert re.match(f'{re.escape(IMAGES)}: {FAULTS[fault]}', message), message
  assert message.endswith(
    f'. Download it from {bad}{IMAGES} and save it as <manual_dir>/{IMAGES}'
  )
  assert not (tmp_path / 'cmnist' / IMAGES).exists()


@pytest.mark.parametrize('fault', [*FAULTS, *HARDSHIPS])
@pytest.mark.parametrize('form', ['idx', 'zip'])
def test_the_first_home_has_the_fault(fault, form, tmp_path, caplog):
  with _homes(fault, form=form) as homes:
    made = synthetic.make(homes, form=form)
    found = _load(tmp_path, made)
  made.assert_read(found)
  assert set(found.proofs.values()) == {Proof.SHA256}
  if fault in FAULTS and form == 'idx':
    assert re.search(r'from http\S+: http', caplog.text)


@pytest.mark.parametrize('hardship', HARDSHIPS)
def test_the_only_home_makes_it_hard(hardship, tmp_path):
  with _homes(hardship) as (home, _):
    made = synthetic.make((home,))
    made.assert_read(_load(tmp_path, made, timeout=5))
  assert not list(tmp_path.rglob('*.part'))


@pytest.mark.parametrize(
  ('begun', 'behavior', 'asked'),
  [
    (lambda data: data[:1000], 'ok', ['bytes=1000-']),
    (lambda data: data[:1000], 'norange', ['bytes=1000-']),
    (lambda data: data, 'ok', []),
    (lambda data: b'', 'ok', ['']),
    (lambda data: b'of another file', 'ok', ['bytes=15-', '']),
    (lambda data: data + b'more', 'ok', ['bytes=31408-', '']),
  ],
)
def test_what_broke_off_is_continued(begun, behavior, asked, tmp_path):
  made = synthetic.make()
  part = tmp_path / 'toy/.cmnist_tfds.train-images.gz.part'
  part.parent.mkdir()
  part.write_bytes(begun(made.files[IMAGES]))
  with faulty_server.serve(made.files) as server:
    _fetch(f'{server.home(behavior)}{IMAGES}', tmp_path)
  assert (tmp_path / IMAGES).read_bytes() == made.files[IMAGES]
  assert not part.exists()
  assert [wanted for _, wanted in server.requests] == asked


@pytest.mark.parametrize('behavior', ['ok', 'norange'])
def test_a_member_comes_alone_where_ranges_are_sent(behavior, tmp_path):
  made = synthetic.make(form='zip')
  with faulty_server.serve(made.files) as server:
    made = synthetic.make((server.home(behavior),), form='zip')
    for _ in range(2):
      made.assert_read(_load(tmp_path, made))
  members = ['train-images.gz', 'train-labels.gz']
  found = sorted(p.name for p in (tmp_path / 'cmnist/toy').glob('[!.]*'))
  assert found == (members if behavior == 'ok' else ['gzip.zip'])
  assert behavior != 'ok' or all(asked for _, asked in server.requests)


@pytest.mark.parametrize(
  'damage',
  [
    lambda data: data[:-30],
    lambda data: data.replace(b'train-images', b'other-images'),
    lambda data: data[:100] + bytes(100) + data[200:],
  ],
)
def test_a_damaged_archive_gives_the_one_error(damage, tmp_path):
  files = synthetic.make(form='zip').files
  files = {path: damage(data) for path, data in files.items()}
  with faulty_server.serve(files) as server:
    made = synthetic.make((server.home('ok'),), form='zip')
    with pytest.raises(OriginFileError, match=r'^toy/train-images.gz: http'):
      _load(tmp_path, made)
  assert not [p for p in tmp_path.rglob('*') if p.suffix in ('.gz', '.zip')]


def test_a_dead_host_is_not_asked_for_each_file(tmp_path):
  files = synthetic.make().files
  with faulty_server.serve(files) as dead, faulty_server.serve(files) as good:
    made = synthetic.make((dead.home('hang'), good.home('ok')))
    where = Locations(download_dir=tmp_path, timeout=0.5)
    for split in made.source.splits:
      load_split.load_split(made.source, split, where)
  assert len(dead.requests) == 1
  assert len(good.requests) == 4


def test_a_slow_host_is_waited_for_as_long_as_the_user_says(tmp_path):
  with faulty_server.serve(synthetic.make().files) as server:
    made = synthetic.make((server.home('late'),))
    with pytest.raises(OriginFileError, match='timed out; --timeout'):
      _load(tmp_path, made, timeout=0.3)
    made.assert_read(_load(tmp_path, made, timeout=20))


def test_a_password_goes_to_its_host_alone(tmp_path):
  files = synthetic.make().files
  with faulty_server.serve(files) as one, faulty_server.serve(files) as other:
    one.files['away'] = other.home('ok').encode()
    mirror = one.home('away').replace('//', '//user:p%40ss@')
    made = synthetic.make((other.home('404'),))
    made.assert_read(_load(tmp_path, made, mirror=mirror))
  assert set(one.passwords) == {'Basic dXNlcjpwQHNz'}
  assert other.requests
  assert other.passwords == []


@pytest.mark.parametrize(
  'host', ['[::1', '.example', '127.0.0.1:99999', '127.0.0.1:9/x', '']
)
def test_a_password_is_in_no_message(host, tmp_path):
  with pytest.raises(OriginFileError) as raised:
    _fetch(f'http://user:secret@{host}/x', tmp_path)
  assert 'secret' not in str(raised.value)


@pytest.mark.parametrize('behavior', ['404', 'drop', 'no_http', 'to_file'])
def test_a_password_is_in_no_warning(behavior, tmp_path, caplog):
  files = synthetic.make().files
  with faulty_server.serve(files) as bad, faulty_server.serve(files) as good:
    mirror = bad.home(behavior).replace('//', '//user:secret@')
    made = synthetic.make((good.home('ok'),))
    made.assert_read(_load(tmp_path, made, mirror=mirror))
    own = good.home('ok').replace('//', '//user:secret@')
    assert _fetch(f'{own}{IMAGES}', tmp_path) == f'{good.home("ok")}{IMAGES}'
  assert caplog.records
  assert 'secret' not in caplog.text


@pytest.mark.parametrize(
  ('bundle', 'fault'),
  [
    (None, 'certificate verify failed: self-signed certificate'),
    ('missing.pem', r'invalid path: \S+missing.pem'),
  ],
)
def test_a_fault_of_certificates_is_named(bundle, fault, tmp_path, monkeypatch):
  made = synthetic.make()
  if bundle:
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(tmp_path / bundle))
  with faulty_server.serve(made.files, certificate=_CERTIFICATE) as server:
    made = synthetic.make((server.home('ok'),))
    with pytest.raises(OriginFileError, match=fault):
      _load(tmp_path, made)
    made.assert_read(_load(tmp_path, made, verify_ssl=False))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
  (tmp_path / 'file').touch()
  fault = r'Cannot write to \S+file/x: Not a'
  with pytest.raises(OriginFileError, match=fault):
    _fetch('http://127.0.0.1:9/', tmp_path / 'file/x')


def test_several_at_once_fetch_a_file_once(tmp_path):
  made = synthetic.make()
  with faulty_server.serve(made.files) as server:
    url = f'{server.home("slow")}{IMAGES}'
    with concurrent.futures.ThreadPoolExecutor() as pool:
      assert len({*pool.map(_fetch, [url] * 3, [tmp_path] * 3)}) <= 2
  assert len(server.requests) == 1
  assert (tmp_path / IMAGES).read_bytes() == made.files[IMAGES]
