# SPDX-License-Identifier: Apache-2.0
"""Downloads survive faulty hosts, or fail with a clear error.

Each fault is tried twice. If the faulty host is the only one, the error must
name the fault. If a working host follows it, the download must succeed. The run
ends with a count of the faults.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import pathlib
import re
import zipfile
from collections.abc import Iterator
from unittest import mock

import faulty_server
import pytest
import synthetic
import tensorflow_datasets as tfds

from cmnist_tfds import origin
from cmnist_tfds.datasets import download_manager
from cmnist_tfds.origin import http_client, locations
from cmnist_tfds.origin import limits as limits_lib
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import OriginFileError

LIMITS = limits_lib.Limits(
  silence=1.0, attempts=2, pause=0.01, slowest=30.0, window=0.8
)
# Thirty redirects take a busy machine longer than that.
_PATIENT = dataclasses.replace(LIMITS, silence=30.0)

_CERTIFICATE = pathlib.Path(__file__).parent / 'certificate.pem'

# Fault of a host, and what the error says of it if there is no other home.
FAULTS = {
  'refuses': r'127\.0\.0\.1:\d+: cannot be reached: Connection refused',
  'deaf': r'127\.0\.0\.1:\d+: no answer within 1 s',
  'hang': r'127\.0\.0\.1:\d+: no answer within 1 s',
  'stall': r'127\.0\.0\.1:\d+: stopped sending in the middle of a file',
  'drop': r'train-images\.gz: broke off before it sent anything',
  '404': r'train-images\.gz: HTTP 404 Not Found',
  '500': r'train-images\.gz: HTTP 500 Internal Server Error',
  'loop': r'train-images\.gz: its redirects form a loop',
  'html': r'train-images\.gz: not the file expected: it is an HTML page, .*'
  'look on the homepage where the file has moved',
  'page': r'train-images\.gz: not the file expected: it is an HTML page',
  'close': r'train-images\.gz: broke off after \d bytes',
  'wrong': r'train-images\.gz: not the file expected: it has the right size,'
  ' but not the SHA-256 [0-9a-f]{64}',
  'outdated': r'train-images\.gz: not the file expected: it is the outdated'
  ' version .*fetch the new one',
  'long': r'train-images\.gz: not the file expected: it has more than [\d,]+'
  ' bytes',
  'gzip_packed': 'not the file expected: .*more than [\\d,]+ bytes',
  'two_lengths': 'its answer is not HTTP: Content-Length contained multiple',
  'length_too_small': r'expected [\d,]+ bytes, found 5',
  'length_too_large': r'expected [\d,]+ bytes, found 999,999,999,999,999',
  'bad_chunk': 'broke off after 0 bytes',
  'huge_chunk': r'broke off after \d+ bytes',
  'endless_chunk_size': 'broke off after 0 bytes',
  'chunk_size_line': 'broke off after 0 bytes',
  'endless_trailer': 'sends less than 30 bytes a second',
  'endless': 'it has more than [\\d,]+ bytes',
  'endless_chunks': 'it has more than [\\d,]+ bytes',
  'empty_chunks_drip': 'sends less than 30 bytes a second',
  'drip': 'sends less than 30 bytes a second',
  'header_drip': 'no answer within 1 s',
  'endless_headers': 'its answer is not HTTP: got more than 100 headers',
  'endless_header': 'its answer is not HTTP: got more than 65536 bytes',
  'endless_status': 'its answer is not HTTP: got more than 65536 bytes',
  'endless_continue': 'no answer within 1 s',
  'endless_redirect': 'HTTP 404 Not Found',
  'no_http': 'its answer is not HTTP: .*220 mail.example ESMTP',
  'binary': 'its answer is not HTTP',
  'bad_status': 'its answer is not HTTP: HTTP/1.1 many',
  'status_out_of_range': 'its answer is not HTTP: HTTP/1.1 9999',
  'terminal_codes': r'HTTP 403 \[2J gone',
  'cut_header': 'not the file expected: it is empty',
  'early_hints': 'HTTP 103 Early Hints',
  'no_content': 'HTTP 204 No Content',
  'not_modified': 'HTTP 304 Not Modified',
  'unasked_416': 'HTTP 416 Range Not Satisfiable',
  'unasked_206': 'HTTP 206 Partial Content',
  'bad_range': 'HTTP 206 x',
  'offset': 'HTTP 206 Partial Content',
  'reset': 'broke off',
  'no_location': 'HTTP 302 Found',
  'onward': 'its redirects form a loop',
  'to_nothing': 'it redirects to nothing, which is no HTTP address',
  'to_script': r'redirects to javascript:alert\(1\), which is no HTTP address',
  'to_file': 'redirects to file:///etc/passwd, which is no HTTP address',
  'to_ftp': 'redirects to ftp://127.0.0.1/file, which is no HTTP address',
  'to_bad_address': r'redirects to http://\[::1, which is no HTTP address',
  'to_bad_port': 'redirects to http://127.0.0.1:99999/, which is no HTTP',
  'to_bad_name': 'not a valid URL|cannot be reached',
  'to_log_in': 'not the file expected: it is an HTML page',
  '401': 'HTTP 401 Unauthorized',
  'to_closed_port': 'it redirects to 127.0.0.1:9: cannot be reached: Connection'
  ' refused',
}
# What a patient client need not call a fault.
HARDSHIPS = (
  'redirect',
  'slow',
  'norange',
  'unsteady',
  'moody',
  'no_length',
  'http10',
  'odd_headers',
  'continue_first',
  'chunks',
  'chunk_extensions',
  'length_of_5000_digits',
  'negative_length',
  'length_no_number',
  'length_and_chunks',
  'gzip_declared',
)


def _locations(
  folder, made, mirror=None, manual_dir=None, limits=LIMITS
) -> origin.Locations:
  """Returns locations that download into a folder."""
  return download_manager.OriginDownloadManager(
    download_dir=folder,
    manual_dir=manual_dir,
    dataset_name='cmnist',
    mirror=mirror,
    sources=[made.source],
    limits=limits,
  ).locations


@contextlib.contextmanager
def _hosts(fault: str, **kwargs) -> Iterator[tuple[list[str], synthetic.Made]]:
  """Yields a home with the fault and one without, and the files of both."""
  with contextlib.ExitStack() as stack:
    files = synthetic.make(**kwargs).files
    good = stack.enter_context(faulty_server.serve(files))
    if fault == 'refuses':
      bad = f'{stack.enter_context(faulty_server.refusing())}/'
    elif fault == 'deaf':
      bad = f'{stack.enter_context(faulty_server.deaf())}/'
    else:
      # A host of its own: a dead one is not asked a second time.
      bad = stack.enter_context(faulty_server.serve(files)).home(fault)
    yield [bad, good.home('ok')], synthetic.make((bad,), **kwargs)


def _read(folder, made, mirror=None, split='train', limits=LIMITS):
  found_in = _locations(folder, made, mirror, limits=limits)
  return origin.load_split.load_split(made.source, split, found_in)


def _leftovers(folder: pathlib.Path) -> list[str]:
  """Names of files that are neither finished downloads nor locks."""
  return [
    path.name
    for path in folder.rglob('*')
    if '.tmp.' in path.name or path.name.endswith('.part')
  ]


@pytest.fixture(autouse=True)
def _no_progress_bars():
  tfds.disable_progress_bar()


@pytest.mark.parametrize('fault', FAULTS)
def test_the_only_home_has_the_fault(fault, tmp_path, record_property):
  with _hosts(fault) as (_, made):
    source = synthetic.replace_file(
      made.source,
      'toy/train-images.gz',
      outdated_size=len(faulty_server.OUTDATED),
    )
    with pytest.raises(OriginFileError) as raised:
      _read(
        tmp_path,
        dataclasses.replace(made, source=source),
        limits=_PATIENT if fault == 'loop' else LIMITS,
      )
  message = ' '.join(str(raised.value).split())
  assert message.startswith('no right copy of toy/train-images.gz: - ')
  assert re.search(FAULTS[fault], message), message
  assert re.search(
    r'To go on, get it from http\S+ and put it at \S+\.$', message
  )
  record_property('fault of a host', 'named')


@pytest.mark.parametrize('fault', FAULTS)
def test_the_first_home_has_the_fault(fault, tmp_path, record_property):
  with _hosts(fault) as (homes, _):
    made = synthetic.make(tuple(homes))
    made.assert_read(_read(tmp_path, made))
  assert not _leftovers(tmp_path)
  record_property('fault of a host', 'survived')


@pytest.mark.parametrize('fault', FAULTS)
def test_the_mirror_has_the_fault(fault, tmp_path, record_property):
  with _hosts(fault) as ((bad, good), _):
    made = synthetic.make((good,))
    made.assert_read(_read(tmp_path, made, mirror=bad))
  record_property('fault of a host', 'survived')


@pytest.mark.parametrize('hardship', HARDSHIPS)
def test_the_only_home_makes_it_hard(hardship, tmp_path, record_property):
  with _hosts(hardship) as (_, made):
    made.assert_read(_read(tmp_path, made))
  assert not _leftovers(tmp_path)
  record_property('fault of a host', 'survived')


@pytest.mark.parametrize('fault', [*FAULTS, *HARDSHIPS])
def test_the_first_home_of_an_archive_has_the_fault(
  fault, tmp_path, record_property
):
  with _hosts(fault, form='zip') as (homes, _):
    made = synthetic.make(tuple(homes), form='zip')
    made.assert_read(_read(tmp_path, made))
  record_property('fault of a host', 'survived')


# What a server of an archive can do besides, and what is said of it where the
# archive as a whole cannot be had.
ARCHIVE_FAULTS = {
  'tail_only': 'no member begins where gzip/train-images.gz should',
  'tail_only_endless': 'not the file expected: |cannot be read as a zip file: ',
  'bad_range': 'the server does not send parts of files',
  'offset': 'cannot be read as a zip file: ',
  'endless': 'the server does not send parts of files',
}


@pytest.mark.parametrize('fault', ARCHIVE_FAULTS)
def test_a_member_of_an_archive_has_the_fault(fault, tmp_path, record_property):
  with _hosts(fault, form='zip') as (_, made):
    file = made.source.splits['train'].images
    url = f'{file.archive.urls[0]}#{file.member}'
    with pytest.raises(OriginFileError, match=ARCHIVE_FAULTS[fault]) as raised:
      http_client.Client(LIMITS).fetch(
        file, url, tmp_path / 'file', part=tmp_path / 'part'
      )
  assert str(raised.value).startswith(file.archive.urls[0])
  assert not (tmp_path / 'file').exists()
  record_property('fault of a host', 'named')


def _lying(data: bytes, offset: int, value: int) -> bytes:
  """Returns a zip file with another number in the directory's first entry."""
  at = data.index(b'PK\1\2') + offset
  return data[:at] + value.to_bytes(4, 'little') + data[at + 4 :]


@pytest.mark.parametrize(
  ('lie', 'message'),
  [
    (lambda data: _lying(data, 24, 1 << 31), 'expected [\\d,]+ bytes, found'),
    (lambda data: _lying(data, 20, 1 << 31), 'found 2,147,483,648 compressed'),
    (lambda data: _lying(data, 20, 9), 'broke off in gzip/train-images.gz'),
    (lambda data: _lying(data, 42, 1 << 31), 'HTTP 416'),
    (lambda data: _lying(data, 42, 7), 'no member begins where'),
    (lambda data: _lying(data, 10, 14), 'found the compression method 14'),
    (lambda data: data + b'garbage' * 99_999, 'File is not a zip file'),
    (
      lambda data: data[:-10] + (1 << 30).to_bytes(4, 'little') + data[-6:],
      'zip directory of at most 262,144 bytes, found one of 1,073,741,824',
    ),
    (
      lambda data: data[:-22] + b'PK\6\7' + bytes(16) + data[-22:],
      'zip directory of at most 262,144 bytes, found one of the zip64 format',
    ),
  ],
)
def test_a_zip_directory_lies(lie, message, tmp_path, record_property):
  made = synthetic.make(form='zip')
  name = 'toy/gzip.zip'
  with faulty_server.serve({name: lie(made.files[name])}) as server:
    file = made.source.splits['train'].images
    with pytest.raises(OriginFileError, match=message):
      http_client.Client(LIMITS).fetch(
        file,
        f'{server.home("ok")}{name}#{file.member}',
        tmp_path / 'file',
        part=tmp_path / 'part',
      )
  record_property('fault of a host', 'named')


def test_a_member_that_is_a_bomb_is_not_inflated(tmp_path, record_property):
  made = synthetic.make(form='zip')
  file = made.source.splits['train'].images
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(file.member, bytes(16 << 20))
  bomb = out.getvalue()
  bomb = _lying(bomb, 24, file.size)
  part = tmp_path / 'part'
  with (
    faulty_server.serve({'toy/gzip.zip': bomb}) as server,
    pytest.raises(OriginFileError, match=r'expected [\d,]+ bytes in .* more'),
  ):
    http_client.Client(LIMITS).fetch(
      file,
      f'{server.home("ok")}toy/gzip.zip#{file.member}',
      tmp_path / 'file',
      part=part,
    )
  assert part.stat().st_size <= file.size
  record_property('fault of a host', 'named')


def _fetch(url, tmp_path, limits=LIMITS, **facts):
  """Fetches the training images of a synthetic source from a URL."""
  made = synthetic.make()
  file = (
    synthetic.replace_file(made.source, 'toy/train-images.gz', **facts)
    .splits['train']
    .images
  )
  target = tmp_path / 'file'
  http_client.Client(limits).fetch(file, url, target, part=tmp_path / 'part')
  assert target.read_bytes() == made.files[file.path]


def test_a_file_of_unknown_size_has_a_cap(tmp_path):
  limits = dataclasses.replace(LIMITS, largest=1 << 20)
  with (
    faulty_server.serve(synthetic.make().files) as server,
    pytest.raises(OriginFileError, match='it has more than 1,048,576 bytes'),
  ):
    _fetch(
      f'{server.home("endless")}toy/train-images.gz',
      tmp_path,
      limits,
      size=None,
    )


def test_a_host_above_the_lowest_rate_meets_the_deadline(tmp_path):
  # It sends 20 bytes a second, of which 31,404 would take 26 minutes.
  limits = dataclasses.replace(LIMITS, slowest=15.0, window=0.5)
  with (
    faulty_server.serve(synthetic.make().files) as server,
    mock.patch('time.monotonic', side_effect=itertools.count(0, 1000)),
    pytest.raises(OriginFileError, match='takes too long to send a file'),
  ):
    _fetch(f'{server.home("drip")}toy/train-images.gz', tmp_path, limits)


def test_a_password_goes_to_its_host_alone(tmp_path):
  files = synthetic.make().files
  with faulty_server.serve(files) as one, faulty_server.serve(files) as other:
    one.files['away'] = other.home('ok').encode()
    url = f'{one.home("away")}toy/train-images.gz'
    _fetch(url.replace('//', '//user:secret@'), tmp_path)
  assert one.passwords == ['Basic dXNlcjpzZWNyZXQ=']
  assert other.requests
  assert other.passwords == []


def test_a_password_is_in_no_message(tmp_path):
  with faulty_server.serve({}) as server:
    for behaviour in ('404', 'drop', 'no_http', 'to_script', 'hang'):
      url = f'{server.home(behaviour)}x'.replace('//', '//user:secret@')
      with pytest.raises(OriginFileError) as raised:
        _fetch(url, tmp_path)
      assert 'secret' not in str(raised.value)


@pytest.mark.parametrize(
  'url', ['http://[::1', 'http://127.0.0.1:99999/x', 'http://.example/x']
)
def test_a_url_that_is_none_is_named(url, tmp_path, record_property):
  with pytest.raises(OriginFileError) as raised:
    _fetch(url, tmp_path)
  assert str(raised.value).startswith(f'{url}: not a valid URL')
  record_property('fault of a host', 'named')


def test_a_mirror_that_is_no_url_is_named(tmp_path):
  with pytest.raises(OriginFileError, match='expected a folder or a URL'):
    _locations(tmp_path, synthetic.make(), mirror='http://[::1')


@pytest.mark.parametrize('kind', ['missing', 'empty'])
def test_certificates_that_are_not_there_are_named(
  kind, tmp_path, monkeypatch, record_property
):
  bundle = tmp_path / 'bundle.pem'
  if kind == 'empty':
    bundle.touch()
  monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(bundle))
  with (
    faulty_server.serve({}, certificate=_CERTIFICATE) as server,
    pytest.raises(OriginFileError) as raised,
  ):
    _fetch(f'{server.home("ok")}x', tmp_path)
  message = str(raised.value)
  assert f'REQUESTS_CA_BUNDLE is {bundle}: correct it or unset it' in message
  record_property('fault of a host', 'named')


def test_a_negative_chunk_gives_the_file_or_the_one_error(tmp_path):
  with (
    faulty_server.serve(synthetic.make().files) as server,
    contextlib.suppress(OriginFileError),
  ):
    _fetch(f'{server.home("negative_chunk")}toy/train-images.gz', tmp_path)


def test_a_dead_host_is_not_asked_for_each_file(tmp_path):
  files = synthetic.make().files
  with faulty_server.serve(files) as dead, faulty_server.serve(files) as good:
    made = synthetic.make((dead.home('hang'), good.home('ok')))
    found_in = _locations(tmp_path, made)
    for split in made.source.splits:
      origin.load_split.load_split(made.source, split, found_in)
  assert len(dead.requests) == 1
  assert len(good.requests) == 4


def test_all_dead_homes_of_a_file_are_given_up_within_30_s():
  hosts = max(
    len(
      {
        (url.split('/')[0], url.split('/')[2])
        for _, url in locations.urls(file, 'http://mirror')
      }
    )
    for source in SOURCES
    for file in source.origin_files
  )
  assert hosts * limits_lib.Limits().connect <= 30


def test_a_slow_host_is_waited_for_as_long_as_the_user_says(
  tmp_path, monkeypatch
):
  monkeypatch.setenv('CMNIST_TIMEOUT', '0.3')
  with faulty_server.serve(synthetic.make().files) as server:
    # It begins to answer after half a second.
    url = f'{server.home("late")}toy/train-images.gz'
    with pytest.raises(OriginFileError) as raised:
      _fetch(url, tmp_path, None)
    assert 'within 0.3 s; CMNIST_TIMEOUT=SECONDS waits' in str(raised.value)
    monkeypatch.setenv('CMNIST_TIMEOUT', '20')
    _fetch(url, tmp_path, None)


def test_limits_are_those_of_the_user(monkeypatch):
  for name in ('CMNIST_TIMEOUT', 'CMNIST_MIN_SPEED'):
    monkeypatch.delenv(name, raising=False)
  assert limits_lib.of_user() == limits_lib.Limits()
  monkeypatch.setenv('CMNIST_TIMEOUT', '90')
  assert limits_lib.of_user().silence == limits_lib.of_user().window == 90
  assert limits_lib.of_user(timeout=8).connect == 8
  assert limits_lib.of_user(min_speed=5).slowest == 5
  monkeypatch.setenv('CMNIST_MIN_SPEED', '-1')
  with pytest.raises(
    OriginFileError, match="CMNIST_MIN_SPEED is '-1': expected"
  ):
    limits_lib.of_user()


@pytest.mark.parametrize(
  ('there', 'taken'),
  [
    (('manual', 'mirror', 'origin', 'second'), 'manual'),
    (('mirror', 'origin', 'second'), 'mirror'),
    (('origin', 'second'), 'origin'),
    (('second',), 'second'),
  ],
)
@pytest.mark.parametrize('mirror_kind', ['folder', 'http'])
def test_locations_are_tried_in_order(there, taken, mirror_kind, tmp_path):
  made = synthetic.make()
  with contextlib.ExitStack() as stack:
    servers = {
      name: stack.enter_context(
        faulty_server.serve(made.files if name in there else {})
      )
      for name in ('mirror', 'origin', 'second')
    }
    made = synthetic.make(
      (servers['origin'].home('ok'), servers['second'].home('ok'))
    )
    for name in ('manual', 'mirror'):
      if name in there:
        made.write(tmp_path / name)
    mirror = (
      str(tmp_path / 'mirror')
      if mirror_kind == 'folder'
      else servers['mirror'].home('ok')
    )
    arrays = origin.load_split.load_split(
      made.source,
      'train',
      _locations(tmp_path / 'downloads', made, mirror, tmp_path / 'manual'),
    )
  made.assert_read(arrays)
  asked = [name for name, server in servers.items() if server.requests]
  order = ['mirror', 'origin', 'second'][mirror_kind == 'folder' :]
  from_disk = taken == 'manual' or (taken, mirror_kind) == ('mirror', 'folder')
  assert asked == ([] if from_disk else order[: order.index(taken) + 1])
