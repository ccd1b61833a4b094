# SPDX-License-Identifier: Apache-2.0
"""Downloads survive faulty hosts, or fail with a clear error.

Each fault is tried twice. If the faulty host is the only one, the error must
name the fault. If a working host follows it, the download must succeed. The run
ends with a count of the faults.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Iterator

import faulty_server
import pytest
import synthetic
import tensorflow_datasets as tfds

from cmnist_tfds import origin
from cmnist_tfds.datasets import download_manager
from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.origin import http_client, locations
from cmnist_tfds.sources import SOURCES

LIMITS = http_client.Limits(silence=1.0, attempts=2, pause=0.01)
# Thirty redirects take a busy machine longer than that.
_PATIENT = dataclasses.replace(LIMITS, silence=30.0)

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
}
# What a patient client need not call a fault.
HARDSHIPS = ('redirect', 'slow', 'norange', 'unsteady', 'moody')


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
    len({url.split('/')[2] for _, url in locations.urls(file, 'http://mirror')})
    for source in SOURCES
    for file in source.origin_files
  )
  assert hosts * http_client.Limits().silence <= 30


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
