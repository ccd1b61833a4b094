# SPDX-License-Identifier: Apache-2.0
"""Published subsets are read by those who have not this package."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest

from cmnist_tfds import cli, load, subsets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.export import hub
from cmnist_tfds.load import numpy_arrays

pytest.importorskip('mlcroissant')

_NAMES = ('2-FKd-r-5', 'X-12')


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> pathlib.Path:
  data_dir = tmp_path_factory.mktemp('data')
  where = ['--sample', '--data_dir', str(data_dir)]
  assert cli.main(['build', *_NAMES, *where]) == 0
  place = data_dir / 'published'
  assert cli.main(['publish', *_NAMES, *where, '-o', str(place)]) == 0
  return place


# Stands in for an environment without the package: whoever imports it fails.
_WITHOUT_PACKAGE = """
import sys
sys.modules['cmnist_tfds'] = None
import tensorflow_datasets as tfds
"""

# Each makes `train` and `info`, in the published folder.
_WAYS = {
  'directory': """
builder = tfds.builder_from_directory('cmnist_sample/X-12/1.0.0')
train, info = builder.as_dataset(split='train'), builder.info
""",
  'namespace': """
from etils import epath
from tensorflow_datasets.core.community import config
config.get_community_config().add_namespace(
  'lab', config.NamespaceConfig(paths=[epath.Path('.')])
)
train, info = tfds.load(
  'lab:cmnist_sample/X-12', split='train', with_info=True
)
""",
  # As if TFDS's own list of communities had the folder.
  'namespace of TFDS': """
import os, pathlib, tempfile
from tensorflow_datasets.core.community import config
with tempfile.TemporaryDirectory() as elsewhere:
  path = pathlib.Path(elsewhere, 'community-datasets.toml')
  path.write_text(f"[lab]\\npaths = ['{os.getcwd()}']\\n")
  config.COMMUNITY_CONFIG_PATH = str(path)
  train, info = tfds.load(
    'lab:cmnist_sample/X-12', split='train', with_info=True
  )
""",
}

_TELL = """
import json
print(json.dumps({
  'labels': [int(e['label']) for e in train],
  'sum': sum(int(e['image'].numpy().sum()) for e in train),
  'names': info.features['label'].names,
  'citation': info.citation,
}))
"""


@pytest.mark.parametrize('way', [*_WAYS, 'card'])
def test_tfds_reads_it_without_the_package(folder, way):
  if way == 'card':
    card = (folder / 'README.md').read_text('utf-8')
    (code,) = re.findall('^```python\n(.*?)^```$', card, re.M | re.S)
    code = code.replace('2-FKd-r-5', 'X-12')
  else:
    code = _WAYS[way]
  done = subprocess.run(
    [sys.executable, '-c', _WITHOUT_PACKAGE + code + _TELL],
    capture_output=True,
    text=True,
    check=False,
    cwd=folder,
  )
  assert done.returncode == 0, done.stderr
  seen = json.loads(done.stdout)
  found = load.find('X-12', data_dir=folder, sample=True)
  (train,) = numpy_arrays.read(found, 'train')
  assert seen['labels'] == train.labels.tolist()
  assert seen['sum'] == int(train.images.sum())
  assert seen['names'] == [c.name for c in subsets.subset('X-12').classes]
  assert 'wenkel2019cmnist' in seen['citation']


def test_the_card_names_files_that_are_there(folder):
  _, block, text = (folder / 'README.md').read_text('utf-8').split('---\n', 2)
  metadata = dict(line.split(': ', 1) for line in block.splitlines())
  configs = json.loads(metadata['configs'])
  assert [c['config_name'] for c in configs] == list(_NAMES)
  for config in configs:
    for file in config['data_files']:
      assert (folder / file['path']).is_file()
  assert 'not CMNIST' in text
  for source in subsets.subset('X-12').sources:
    assert source.license in text
    assert source.citation in text


def test_a_card_of_the_real_thing_does_not_say_sample(folder):
  found = load.find('X-12', data_dir=folder, sample=True)
  real = load.Prepared(**{**vars(found), 'dataset': 'cmnist'})
  assert 'not CMNIST' not in hub.card([real])


def test_what_is_not_prepared_says_how(tmp_path, capsys):
  arguments = ('publish', '2-FKd', '--data_dir', tmp_path, '-o', tmp_path / 'p')
  assert cli.main(list(map(str, arguments))) == 1
  assert 'cmnist build 2-FKd' in capsys.readouterr().err
  assert not (tmp_path / 'p').exists()


def test_another_folder_is_left_alone(folder, tmp_path):
  found = load.find('X-12', data_dir=folder, sample=True)
  (tmp_path / 'README.md').write_text('my project')
  with pytest.raises(PreparationError, match='was not written by this command'):
    hub.publish([found], tmp_path)
  assert (tmp_path / 'README.md').read_text() == 'my project'
