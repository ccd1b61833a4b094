# SPDX-License-Identifier: Apache-2.0
"""Commands exit with 0, 1 or 2, and say what is wrong in one line."""

from __future__ import annotations

import numpy as np
import pytest

import cmnist_tfds
from contract.datasets import Toy

_COMMANDS = (
  *('list', 'info', 'build', 'show', 'verify', 'mirror', 'cache', 'export'),
  *('catalog', 'croissant', 'publish', 'tfds-pr', 'source', 'evaluate'),
  *('compare', 'baseline', 'audit'),
)


@pytest.fixture(scope='module')
def place(data_dir, tmp_path_factory):
  """A folder with files of predictions and a file in the way."""
  folder = tmp_path_factory.mktemp('place')
  where = {'data_dir': data_dir, 'sample': True}
  _, labels = cmnist_tfds.load_data('2-FKd', split='test', **where)
  cmnist_tfds.save_predictions(
    folder / 'p.npz', '2-FKd', labels, labels, method='oracle', **where
  )
  np.save(folder / 'bare.npy', labels)
  (folder / 'file').write_text('mine')
  (folder / 'empty').mkdir()
  (folder / 'wrong.toml').write_text('[[source]]\nkey = 3\n')
  return folder


@pytest.fixture
def run(cmnist, place, sample):
  """Runs a command, written as a line, in that folder.

  `SAMPLE` stands for the options that read the sample.
  """

  def run(line):
    argv = []
    for word in line.split():
      argv += sample if word == 'SAMPLE' else [word]
    # No host is reached: every address is asked for at a closed port.
    proxies = dict.fromkeys(('http_proxy', 'https_proxy'), 'http://127.0.0.1:9')
    return cmnist.run(*argv, cwd=place, **proxies)

  return run


@pytest.mark.parametrize(
  ('line', 'printed'),
  [
    ('--version', cmnist_tfds.__version__),
    ('--help', 'baseline'),
    *((f'{command} --help', 'usage: cmnist') for command in _COMMANDS),
    ('list --with F --balanced', '2-FKd'),
    ('list --format tsv', '2-EEl\t'),
    ('info 3-EElKm', 'KMNIST'),
    ('build 2-FKd-r-5 SAMPLE', '2-FKd-r-5'),
    ('build 2-FKd --sample --data_dir elsewhere', '2-FKd'),
    ('build --sample --data_dir=elsewhere 1-F 1-Kd', '1-Kd'),
    ('cache', ''),
    ('cache list', ''),
    ('cache size', ''),
    ('export 2-FKd SAMPLE --format npz -o npz', 'npz'),
    ('export 2-FKd SAMPLE --format png -o png', 'png'),
    ('export 2-FKd SAMPLE --format idx -o idx', 'idx'),
    ('export 2-FKd SAMPLE --format csv -o csv', 'csv'),
    ('croissant 2-FKd', 'http://mlcommons.org/croissant'),
    ('source list', 'Fashion-MNIST'),
    ('tfds-pr pr', ''),
    ('evaluate 2-FKd p.npz SAMPLE', '1.0000'),
    ('compare 2-FKd p.npz p.npz SAMPLE', ''),
    ('baseline knn 2-FKd-r-5 SAMPLE -k 1 -o results', ''),
    ('audit F SAMPLE --pairs pairs.tsv', ''),
    ('audit F SAMPLE -o more_pairs.tsv', ''),
    ('help', 'baseline'),
    ('help source new', 'usage: cmnist source new'),
    ('-q list', '2-FKd'),
    ('list -v --max-classes 20 --format table', '2-FKd'),
    ('list --extensions', '1-Mn'),
    ('info 3-EElKm --format json', '"balanced": false'),
    ('build 2-FKd-r-5 SAMPLE --format json', '"name": "2-FKd-r-5"'),
    ('source list --format json', '"key": "F"'),
    ('cache --format json', ''),
    ('tfds-pr -o more_pr', ''),
    ('evaluate 2-FKd p.npz SAMPLE --without near-duplicates', '1.0000'),
    ('evaluate 2-FKd p.npz SAMPLE --without_near_duplicates', '1.0000'),
  ],
)
def test_what_works_exits_with_0(run, line, printed):
  done = run(line)
  assert (done.status, done.err) == (0, '')
  assert printed in done.out


@pytest.mark.parametrize(
  ('line', 'printed'),
  [
    ('evaluate 2-FKd bare.npy SAMPLE --assume_order', '1.0000'),
    ('show 2-FKd SAMPLE -o x.png', ''),
    ('show 2-FKd SAMPLE -o x.svg --histogram', ''),
    ('show 2-FKd SAMPLE -o y.svg --confusable', ''),
    ('catalog SAMPLE -o site', ''),
    ('croissant 2-FKd SAMPLE -o croissant', ''),
    ('publish 2-FKd SAMPLE -o hub', ''),
    ('evaluate 2-FKd p.npz SAMPLE --confusion c.svg', '1.0000'),
    ('evaluate 2-FKd p.npz SAMPLE -o more.svg', '1.0000'),
  ],
)
def test_what_may_warn_or_needs_an_extra_exits_with_0(run, line, printed):
  for library in ('jinja2', 'mlcroissant', 'PIL'):
    pytest.importorskip(library)
  done = run(line)
  assert done.status == 0, done.err
  assert printed in done.out


@pytest.mark.parametrize(
  ('line', 'named'),
  [
    ('build 2-FKd --manual_dir nowhere', 'nowhere'),
    ('build 2-FKd --mirror nowhere', 'nowhere'),
    ('build 2-FKd --sample --data_dir file', 'file'),
    ('show 1-Ec --data_dir empty -o x.png', 'cmnist build 1-Ec'),
    ('show 2-FKd SAMPLE -o nowhere/x.png', 'nowhere'),
    ('show 2-FKd SAMPLE -o empty', 'empty'),
    ('verify --manual_dir nowhere', 'nowhere'),
    ('mirror file 1-F', 'file'),
    ('export 1-Ec --data_dir empty --format npz -o x', 'cmnist build 1-Ec'),
    ('export 2-FKd SAMPLE --format npz -o file', 'file'),
    ('export 2-FKd SAMPLE --format npz -o .', ''),
    ('catalog SAMPLE -o file', 'file'),
    ('croissant 2-FKd SAMPLE -o file', 'file'),
    ('croissant 1-Ec --data_dir empty -o x', 'cmnist build 1-Ec'),
    ('publish 1-Ec --data_dir empty -o x', 'cmnist build 1-Ec'),
    ('publish 2-FKd SAMPLE -o file', 'file'),
    ('tfds-pr file', 'file'),
    ('source check nowhere.toml', 'nowhere.toml'),
    ('source new nowhere', 'nowhere'),
    ('evaluate 2-FKd nowhere.npz SAMPLE', 'nowhere.npz'),
    ('evaluate 2-FKd file SAMPLE', 'file'),
    ('evaluate 2-FKd bare.npy SAMPLE', 'bare.npy'),
    ('evaluate X-12 p.npz SAMPLE', 'p.npz'),
    ('compare 2-FKd p.npz nowhere.npz SAMPLE', 'nowhere.npz'),
    ('baseline knn 2-FKd-r-5 SAMPLE -k 1 -o file', 'file'),
    ('audit F SAMPLE --pairs nowhere/x.tsv', 'nowhere'),
  ],
)
def test_a_fault_of_the_world_is_one_line_and_exits_with_1(run, line, named):
  done = run(line)
  assert (done.status, done.out) == (1, ''), done
  assert named in done.error


@pytest.mark.parametrize(
  'line',
  [
    '',
    'nonsense',
    *(
      command
      for command in _COMMANDS
      if command not in {'list', 'verify', 'cache'}
    ),
    *(f'{command} --nonsense' for command in _COMMANDS),
    'list --max_classes few',
    'list --with Zz',
    'build 9-Zz',
    'build 2-FKd --jobs 0',
    'show 2-FKd --histogram --confusable -o x.png',
    'show 2-FKd --histogram --examples 3 -o x.png',
    'tfds-pr -o a b',
    'cache nonsense',
    'cache clear --kind nonsense',
    'export 2-FKd --format gif -o x',
    'source nonsense',
    'baseline nonsense',
    'baseline knn 2-FKd -k 0',
    'audit F --threshold 9',
    'audit Zz',
    *(f'{command} 2-FKx' for command in ('info', 'build', 'verify', 'audit')),
  ],
)
def test_a_fault_of_usage_exits_with_2(run, line):
  done = run(line)
  assert (done.status, done.out) == (2, '')
  assert done.err.splitlines()[-1].startswith('cmnist')


def test_missing_files_are_named_with_where_to_get_and_to_put_them(
  run, cmnist, tmp_path
):
  toy = Toy(tmp_path, url='http://127.0.0.1:9')
  toy.manual.rmdir()
  done = cmnist.run(
    *('build', '1-Ty', '--sources', toy.declaration),
    *('--data_dir', toy.data_dir),
    CMNIST_CACHE_DIR=tmp_path / 'cache',
  )
  assert (done.status, done.out) == (1, '')
  assert 'train-images.gz' in done.err
  assert 'http://127.0.0.1:9/toy/' in done.err
  assert str(toy.data_dir / 'downloads/manual') in done.err
  assert not list(toy.data_dir.rglob('dataset_info.json'))


def test_verify_tells_right_wrong_and_missing_files_apart(cmnist, tmp_path):
  toy = Toy(tmp_path)
  toy.write()
  out = cmnist.works('verify', '1-Ty', *toy.where)
  assert out.count('sha256') == 4
  toy.write(**{'test-labels.gz': b'<html>'})
  (toy.manual / 'toy/train-labels.gz').unlink()
  done = cmnist.run('verify', '1-Ty', *toy.where)
  assert done.status == 1
  for word in ('test-labels.gz', 'wrong', 'train-labels.gz', 'missing'):
    assert word in done.out.lower()


def test_a_mirror_is_filled_and_serves(cmnist, tmp_path):
  toy = Toy(tmp_path)
  toy.write()
  mirror = tmp_path / 'mirror'
  cmnist.works('mirror', mirror, '1-Ty', *toy.where)
  for name, data in toy.files.items():
    assert (mirror / 'toy' / name).read_bytes() == data
  cmnist.works(
    *('build', '1-Ty', '--sources', toy.declaration),
    *('--data_dir', tmp_path / 'other'),
    CMNIST_MIRROR=mirror,
  )
