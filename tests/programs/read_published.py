# SPDX-License-Identifier: Apache-2.0
"""Reads a subset of the sample from the current folder, which `publish` wrote.

Importing cmnist_tfds fails, as where it is not installed. Prints what it read as
JSON, by the way in which TFDS finds the subset.
"""

import json
import os
import pathlib
import re
import sys
import tempfile

sys.modules['cmnist_tfds'] = None

import tensorflow_datasets as tfds  # noqa: E402
from etils import epath  # noqa: E402
from tensorflow_datasets.core import read_only_builder  # noqa: E402
from tensorflow_datasets.core.community import config  # noqa: E402


def _read(train, info):
  return {
    'labels': [int(e['label']) for e in train],
    'sum': sum(int(e['image'].numpy().sum()) for e in train),
    'names': info.features['label'].names,
    'citation': info.citation,
  }


def _of_namespace(name):
  subset = f'{name}:cmnist_sample/X-12'
  return _read(*tfds.load(subset, split='train', with_info=True))


def _of_builder(builder):
  return _read(builder.as_dataset(split='train'), builder.info)


card = pathlib.Path('README.md').read_text('utf-8')
code, _ = re.findall('^```python\n(.*?)^```$', card, re.M | re.S)
names = {}
exec(code, names)
read = {'card': _read(names['train'], names['info'])}
with tempfile.TemporaryDirectory() as elsewhere:
  # As if the list of namespaces in TFDS had the folder.
  path = pathlib.Path(elsewhere, 'community-datasets.toml')
  path.write_text(f"[listed]\npaths = ['{os.getcwd()}']\n")
  config.COMMUNITY_CONFIG_PATH = str(path)
  config.get_community_config().add_namespace(
    'lab', config.NamespaceConfig(paths=[epath.Path('.')])
  )
  read['listed namespace'] = _of_namespace('listed')
read['namespace'] = _of_namespace('lab')
directory = tfds.builder_from_directory('cmnist_sample/X-12/1.0.0')
read['directory'] = _of_builder(directory)
default = read_only_builder.builder_from_files('cmnist_sample', data_dir='.')
read['default'] = _of_builder(default)
print(json.dumps(read))
