# SPDX-License-Identifier: Apache-2.0
"""Runs every command; fails if the package opens a text without an encoding.

python -X warn_default_encoding forbid_default_encoding.py FOLDER
"""

from __future__ import annotations

import pathlib
import sys
import warnings

warnings.filterwarnings(
  'error', category=EncodingWarning, module=r'cmnist_tfds\b'
)

from cmnist_tfds import cli  # noqa: E402
from cmnist_tfds.system import resources  # noqa: E402

folder = pathlib.Path(sys.argv[1])
sample = ['--sample', '--data_dir', str(folder / 'data')]
origin = ['--manual_dir', str(resources.folder('dummy_data'))]


def run(*argv, out=None):
  output = [] if out is None else ['-o', str(folder / out)]
  status = cli.main([*argv, *output])
  assert status == 0, argv


run('build', 'X-12', *sample)
run('info', 'X-12', *sample)
run('list')
run('cache')
for form in ('png', 'idx', 'npz', 'csv'):
  run('export', 'X-12', *sample, '--format', form, out=form)
run('show', 'X-12', *sample, out='picture.svg')
run('show', 'X-12', *sample, out='picture.png')
run('croissant', 'X-12', *sample, out='croissant')
run('publish', 'X-12', *sample, out='published')
run('publish', 'X-12', *sample, out='published')
run('catalog', *sample, out='site')
run('tfds-pr', str(folder / 'pr'))
# The sample is not the origin's, so each of its files is wrong.
assert cli.main(['verify', *origin, '--data_dir', str(folder)]) == 1
