# SPDX-License-Identifier: Apache-2.0
"""Reads a subset of the sample from the current folder, which `publish` wrote.

Importing cmnist_tfds fails, as where it is not installed. The argument says how
TFDS finds the subset. Prints as JSON what it read.
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

way = sys.argv[1]
if way == 'card':
  card = pathlib.Path('README.md').read_text('utf-8')
  code, _ = re.findall('^```python\n(.*?)^```$', card, re.M | re.S)
  names = {}
  exec(code, names)
  train, info = names['train'], names['info']
elif 'namespace' in way:
  with tempfile.TemporaryDirectory() as elsewhere:
    if way == 'namespace':
      config.get_community_config().add_namespace(
        'lab', config.NamespaceConfig(paths=[epath.Path('.')])
      )
    else:
      # As if the list of namespaces in TFDS had the folder.
      path = pathlib.Path(elsewhere, 'community-datasets.toml')
      path.write_text(f"[lab]\npaths = ['{os.getcwd()}']\n")
      config.COMMUNITY_CONFIG_PATH = str(path)
    name = 'lab:cmnist_sample/X-12'
    train, info = tfds.load(name, split='train', with_info=True)
else:
  builder = (
    tfds.builder_from_directory('cmnist_sample/X-12/1.0.0')
    if way == 'directory'
    else read_only_builder.builder_from_files('cmnist_sample', data_dir='.')
  )
  train, info = builder.as_dataset(split='train'), builder.info
print(
  json.dumps(
    {
      'labels': [int(e['label']) for e in train],
      'sum': sum(int(e['image'].numpy().sum()) for e in train),
      'names': info.features['label'].names,
      'citation': info.citation,
    }
  )
)
