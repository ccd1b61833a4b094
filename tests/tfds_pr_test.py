# SPDX-License-Identifier: Apache-2.0
"""What a pull request to TFDS would add works there, without this package."""

import itertools
import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
import running
import tensorflow_datasets

import cmnist_tfds
from cmnist_tfds import cli, subsets, tfds_pr
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system import paths

_FEATURES = ('image', 'label', 'source', 'source_label')
_NAMES = ('3-EElKm-r-10', '2-EcK49')


@pytest.fixture(scope='module')
def checkout(tmp_path_factory) -> pathlib.Path:
  """A tree like a checkout of TFDS, with the dataset added to it."""
  added = tmp_path_factory.mktemp('tfds') / 'added'
  assert cli.main(['tfds-pr', str(added)]) == 0
  tree = added.parent / 'checkout'
  shutil.copytree(added, tree)
  (installed,) = tensorflow_datasets.__path__
  shutil.copytree(
    installed,
    tree / 'tensorflow_datasets',
    copy_function=os.symlink,
    dirs_exist_ok=True,
    ignore=shutil.ignore_patterns('__pycache__'),
  )
  # The wheel of TFDS leaves this file out.
  documentation = tree / 'tensorflow_datasets/scripts/documentation'
  (documentation / 'tfds_to_pwc_links.json').write_text('{}')
  return tree


def _run(checkout: pathlib.Path, code: str, *args: object) -> str:
  """Runs code in the tree without this package; returns what it printed."""
  code = f"import sys; sys.modules['cmnist_tfds'] = None\n{code}"
  path = str(checkout)
  return running.works('-c', code, *args, cwd=checkout, PYTHONPATH=path)


@pytest.mark.slow
def test_the_added_test_passes(checkout):
  said = _run(
    checkout,
    'import pytest; sys.exit(pytest.main(sys.argv[1:]))',
    *('-p', 'no:cacheprovider', '-p', 'no:xdist'),
    f'{tfds_pr.FOLDER}/cmnist_dataset_builder_test.py',
  )
  assert re.search(r'\b\d+ passed', said)


_BUILD = """
from unittest import mock
from etils import epath
import numpy as np
import tensorflow_datasets as tfds
folder, sample, *names = sys.argv[1:]
builders = [tfds.builder(f'cmnist/{name}', data_dir=folder) for name in names]
Builder = type(builders[0])
module = sys.modules[Builder.__module__]
paths = {url: info.filename for url, info in Builder.url_infos.items()}
sample = epath.Path(sample)
with (
  mock.patch.object(module, 'check_md5'),
  mock.patch.object(
    tfds.download.DownloadManager,
    'download',
    lambda self, urls: {
      url: sample / (paths.get(url) or 'notmnist/train-images-idx3-ubyte.gz')
      for url in urls
    },
  ),
):
  for builder in builders:
    builder.download_and_prepare()
for name, builder in zip(names, builders):
  for split in ('train', 'test'):
    arrays = tfds.as_numpy(builder.as_dataset(split, batch_size=-1))
    np.savez(f'{folder}/{name}-{split}.npz', **arrays)
"""


@pytest.mark.slow
def test_builds_the_examples_of_this_package(checkout, tmp_path):
  theirs = tmp_path / 'theirs'
  _run(checkout, _BUILD, theirs, paths.package_folder('dummy_data'), *_NAMES)
  # The second is what TFDS has built, read by this package.
  wheres = ({'data_dir': tmp_path, 'sample': True}, {'data_dir': theirs})
  for name, where, split in itertools.product(
    _NAMES, wheres, ('train', 'test')
  ):
    ours = cmnist_tfds.load_data(name, split=split, features=_FEATURES, **where)
    with np.load(theirs / f'{name}-{split}.npz') as arrays:
      for feature, array in zip(_FEATURES, ours, strict=True):
        expected = arrays[feature].reshape(array.shape)
        np.testing.assert_array_equal(array, expected)


_DECLARED = """
import json
import tensorflow_datasets as tfds
from tensorflow_datasets.scripts.documentation import dataset_markdown_builder
Builder = tfds.builder_cls('cmnist')
module = sys.modules[Builder.__module__]
builders = [Builder(config=c, data_dir='none') for c in Builder.BUILDER_CONFIGS]
unused = ('namespace', 'visu_doc_util', 'df_doc_util', 'nightly_doc_util')
page = dataset_markdown_builder.get_markdown_string(
  builder=builders[0], config_builders=builders, **dict.fromkeys(unused)
)
print(json.dumps({
  'page': page,
  'configs': list(Builder.builder_configs),
  'sources': [
    (s.key, s.title, [*s.class_names], [*s.all_labels], [*s.mixed.items()])
    for s in module.SOURCES
  ],
  'files': [f for s in module.SOURCES for t in ('train', 'test') for f in s.files(t)],
  'unregistered': module.UNREGISTERED,
}))
"""


@pytest.fixture(scope='module')
def declared(checkout) -> dict:
  """What the builder declares, and the page that TFDS writes of it."""
  return json.loads(_run(checkout, _DECLARED))


def test_the_documentation_of_tfds_tells_of_every_published_config(
  checkout, declared
):
  page = declared['page']
  headings = re.findall(r'^## cmnist/(\S+)', page, re.MULTILINE)
  assert set(headings) == {subset.name for subset in subsets.published()}
  assert len(headings) == 134
  assert f'## cmnist/{subsets.DEFAULT} (default config)' in page
  # Each feature is described.
  assert not re.search(r'^.*\| *$', page, re.MULTILINE)
  # It was 1.5 MB when each reduced form had its own section.
  assert len(page.encode()) < 400_000
  (path,) = re.findall(
    r'Source code\*\*: .*\(https://.*/datasets/tree/master/(.*)\)', page
  )
  assert path.startswith(tfds_pr.FOLDER)
  assert (checkout / path).is_file()


def test_files_are_those_of_tfds_alone(checkout):
  # Without __pycache__.
  added = (checkout / tfds_pr.FOLDER).glob('*.*')
  files = {path.name: path.read_text() for path in added}
  modules = [text for name, text in files.items() if name.endswith('.py')]
  assert (len(files), len(modules)) == (7, 3)
  assert not [name for name, text in files.items() if 'cmnist_tfds' in text]
  head = (
    r'# coding=utf-8\n# Copyright \d{4} The TensorFlow Datasets Authors\.\n'
  )
  for text in modules:
    assert re.match(head, text)
    assert 'SPDX' not in text
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r'[^\n]\n\n(?=class|def|@)', text)


def test_has_the_sources_and_the_configs_of_this_package(declared):
  assert set(declared['configs']) == {s.name for s in subsets.declared()}
  for source, of_tfds in zip(SOURCES, declared['sources'], strict=True):
    assert of_tfds == [
      *(source.key, source.title),
      *(list(source.class_names), list(source.raw_labels)),
      [[size, list(labels)] for size, labels in source.mix_labels.items()],
    ]


def test_checksums_are_those_of_this_package_and_all_are_used(
  checkout, declared
):
  lines = (checkout / tfds_pr.FOLDER / 'checksums.tsv').read_text().splitlines()
  registered = {line.split('\t')[0]: line.split('\t')[1:] for line in lines}
  ours = (f for s in SOURCES for t in s.splits.values() for f in t.files)
  used = set()
  for file, of_tfds in zip(ours, declared['files'], strict=True):
    url, _, member = of_tfds.partition('#')
    assert member == file.member
    fetched = file.archive or file
    used.add(url)
    if url in declared['unregistered']:
      assert declared['unregistered'][url] == fetched.md5
      continue
    size, sha256, name = registered[url]
    assert name == fetched.path
    assert fetched.size in (None, int(size))
    assert fetched.sha256 in (None, sha256)
  assert used == registered.keys() | declared['unregistered'].keys()


def test_this_package_can_be_imported_after_the_builder_of_tfds(checkout):
  code = (
    'import sys, tensorflow_datasets as tfds\n'
    "tfds.builder_cls('cmnist')\n"
    'import cmnist_tfds\n'
    "print(tfds.builder('cmnist/2-fkd-r-7', data_dir=sys.argv[1]).info.name)"
  )
  both = f'{checkout}{os.pathsep}{running.REPOSITORY}'
  argv = ('-c', code, checkout / 'data')
  said = running.works(*argv, cwd=checkout, PYTHONPATH=both)
  assert said == 'cmnist\n'
