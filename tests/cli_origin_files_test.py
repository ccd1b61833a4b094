# SPDX-License-Identifier: Apache-2.0
"""What `cmnist verify` and `cmnist mirror` print, and their exit statuses."""

from __future__ import annotations

import json

import command_line
import faulty_server
import pytest
import synthetic

from cmnist_tfds import sources, subsets


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
  """Runs a command on a synthetic source; returns status, output, errors."""
  # Subsets are composed once, of the real sources.
  subsets.subset(subsets.DEFAULT)

  def run(made, *argv):
    monkeypatch.setattr(sources, 'SOURCES', (made.source,))
    where = ('--data_dir', tmp_path / 'data')
    status, out, err = command_line.run(capsys, *argv, *where)
    return status, out.splitlines(), err

  return run


def test_verify_prints_a_line_for_each_file(run, tmp_path, monkeypatch):
  monkeypatch.setenv('COLUMNS', '500')
  made = synthetic.make()
  made.write(tmp_path)
  file = made.source.splits['test'].labels
  (tmp_path / 'toy/train-images.gz').unlink()
  (tmp_path / 'toy/train-labels.gz').write_bytes(b'<html>')
  where = ['--manual_dir', tmp_path]
  status, lines, _ = run(made, 'verify', '--hashes', *where)
  assert lines[0].split() == ['toy/train-images.gz', '31,404', 'missing']
  assert lines[1] == f'in {tmp_path / "toy"}:'
  assert lines[2].split() == ['toy/train-labels.gz', '32', 'WRONG']
  assert 'it is an HTML page' in lines[3]
  assert lines[-6].split() == ['toy/test-labels.gz', f'{file.size}', 'sha256']
  assert lines[-5].split() == ['sha256', file.sha256]
  assert lines[-4].split() == ['fingerprint', file.fingerprint]
  assert lines[-3] == (
    'Download it from http://127.0.0.1:9/toy/train-images.gz and save it as'
    f' {tmp_path}/toy/train-images.gz.'
  )
  assert (status, lines[-1]) == (1, '2 of 4 files are right')
  status, lines, _ = run(made, 'verify', *where, '--format', 'json')
  missing, wrong, right, other = json.loads('\n'.join(lines))
  assert status == 1 and missing['file']['path'] == 'toy/train-images.gz'
  assert missing['copy'] is None and 'HTML' in wrong['fault']
  assert missing['proof'] is wrong['proof'] is None
  assert right['copy']['path'] == f'{tmp_path}/toy/test-images.gz'
  assert right['proof'] == other['proof'] == 'sha256'
  made.write(tmp_path)
  status, lines, _ = run(made, 'verify', *where)
  assert lines[0] == f'in {tmp_path / "toy"}:'
  assert (status, lines[-1]) == (0, '4 of 4 files are right')


@pytest.mark.parametrize('columns', [70, 100])
def test_verify_fits_the_terminal_and_says_each_remedy_once(
  columns, monkeypatch, capsys, tmp_path
):
  monkeypatch.setenv('COLUMNS', str(columns))
  argv = ('verify', '1-Ec', '--data_dir', tmp_path)
  status, out, _ = command_line.run(capsys, *argv)
  assert out.count('Download it from') == out.count('https://') == 1
  assert out.count('emnist/emnist-byclass-') == 4
  for line in out.splitlines():
    # A row of four columns, or a path, cannot be made narrower.
    if not line.endswith('  missing') and len(line.split()) > 1:
      assert len(line) <= columns
  assert status == 1 and out.endswith('0 of 4 files are right\n')


def test_build_names_all_missing_files_at_once(
  tmp_path, monkeypatch, capsys, empty_cache
):
  # No home is reached: every address is looked up at a proxy that refuses.
  for name in ('http_proxy', 'https_proxy'):
    monkeypatch.setenv(name, 'http://127.0.0.1:9')
  argv = ('build', '2-FKd', '--data_dir', tmp_path)
  status, _, err = command_line.run(capsys, *argv)
  assert status == 1
  assert 'fashion_mnist/train-images-idx3-ubyte.gz, 26,421,880 bytes' in err
  assert 'kannada_mnist/y_kannada_MNIST_test.npz, 10,244 bytes' in err
  remedy = f'save it as {tmp_path}/downloads/manual/kannada_mnist/'
  assert f'{remedy}X_kannada_MNIST_train.npz;' in err


def test_verify_knows_the_mirror_and_the_default_folders(run, tmp_path):
  made = synthetic.make()
  made.write(tmp_path / 'data/downloads/manual')
  assert run(made, 'verify')[0] == 0
  made.write(tmp_path / 'mirror')
  other = ['--download_dir', tmp_path / 'other']
  assert run(made, 'verify', *other)[0] == 1
  assert run(made, 'verify', *other, '--mirror', tmp_path / 'mirror')[0] == 0


def test_a_huge_folder_is_searched_to_a_bound(run, tmp_path, monkeypatch):
  monkeypatch.setattr('cmnist_tfds.origin.locations._MOST', 3)
  made = synthetic.make()
  for name in 'abc':
    (tmp_path / name).write_text('no origin file')
  assert run(made, 'verify', '--manual_dir', tmp_path)[2] == ''
  (tmp_path / 'd').mkdir()
  _, _, err = run(made, 'verify', '--manual_dir', tmp_path)
  assert err.count('the first 3 files and folders in') == 1
  assert str(tmp_path) in err


def test_mirror_tells_of_each_file_and_of_those_that_fail(run, tmp_path):
  made = synthetic.make()
  with faulty_server.serve(made.files) as server:
    made = synthetic.make((server.home('ok'),))
    missing = server.files.pop('toy/test-labels.gz')
    folder = tmp_path / 'mirror'
    status, lines, errors = run(made, 'mirror', '-o', folder, '--timeout', '9')
    assert status == 1
    assert lines == [
      f'{path}: from {server.home("ok")}{path}' for path in server.files
    ]
    url = f'{server.home("ok")}toy/test-labels.gz'
    assert errors == (
      f'cmnist: toy/test-labels.gz: {url}: HTTP 404 Not Found. Download it from'
      f' {url} and save it as {folder}/toy/test-labels.gz\n'
    )
    server.files['toy/test-labels.gz'] = missing
    status, lines, errors = run(made, 'mirror', folder)
    assert (status, errors) == (0, '')
    assert [x.split()[1] for x in lines] == ['was', 'was', 'was', 'from']
