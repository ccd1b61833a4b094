# SPDX-License-Identifier: Apache-2.0
"""What several tests need: a home, a cache, the sample, real origin files."""

import os
import pathlib
import shutil
import tempfile

import hypothesis
import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# A home of its own for this process and those it starts: tests neither read
# nor write what the user has. It is set here, since TFDS reads it on import.
_HOME = pathlib.Path(tempfile.mkdtemp(prefix='home-of-tests-'))
# Hundreds of processes would compile every module.
os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
for _name in list(os.environ):
  if _name.startswith(('CMNIST_', 'TFDS_', 'XDG_', 'KERAS_', 'HF_')):
    if _name != 'CMNIST_ORIGIN_FILES':
      del os.environ[_name]
  elif _name.lower() in {'all_proxy', 'http_proxy', 'https_proxy', 'netrc'}:
    del os.environ[_name]
for _name, _folder in (
  ('HOME', '.'),
  ('XDG_CACHE_HOME', '.cache'),
  ('CMNIST_CACHE_DIR', 'cmnist'),
  ('TMPDIR', 'tmp'),
):
  (_HOME / _folder).mkdir(exist_ok=True)
  os.environ[_name] = str(_HOME / _folder)

# Processes of the tests take all cores: threads on top of that take far longer.
for _name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
  os.environ.setdefault(_name, '1')

# A busy machine is no fault.
hypothesis.settings.register_profile('no deadline', deadline=None)
hypothesis.settings.load_profile('no deadline')


def pytest_unconfigure():
  shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def empty_cache(tmp_path_factory, monkeypatch) -> pathlib.Path:
  """A cache that is not there yet, of whose faults no one has been warned."""
  from cmnist_tfds.cache import store

  folder = tmp_path_factory.mktemp('home') / 'cache'
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(folder))
  store.warn_once.cache_clear()
  return folder


@pytest.fixture(scope='session')
def sample_dir(tmp_path_factory) -> pathlib.Path:
  """Data folder with X-12 of the sample, prepared. Not to be changed."""
  import preparing  # it imports TFDS

  folder = tmp_path_factory.mktemp('sample')
  preparing.prepare(folder)
  return folder


@pytest.fixture(scope='session')
def catalog_site(tmp_path_factory) -> pathlib.Path:
  """The catalog with pictures of the sample. Not to be changed."""
  from cmnist_tfds.catalog import site
  from cmnist_tfds.figures import similarity
  from cmnist_tfds.scoring import suites

  folder = tmp_path_factory.mktemp('catalog')
  with pytest.MonkeyPatch.context() as patch:
    # A few images tell as well as many which classes look alike.
    patch.setattr(similarity, 'EXAMPLES', 12)
    advice = suites.suites()['core'].members
    site.write_site(folder / 'site', str(folder), sample=True, advice=advice)
  return folder / 'site'


@pytest.fixture(scope='session')
def origin_files() -> pathlib.Path:
  """Folder with real origin files, in the layout of a manual folder."""
  folder = pathlib.Path(
    os.environ.get('CMNIST_ORIGIN_FILES') or _REPOSITORY.parent / 'shared/data'
  )
  if not folder.is_dir():
    pytest.skip(
      'local copies of the origin files are not there; CMNIST_ORIGIN_FILES'
      ' names their folder'
    )
  return folder
