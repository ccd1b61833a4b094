# SPDX-License-Identifier: Apache-2.0
"""Baselines of networks: settings, weights, results that grow run by run."""

import functools
import re
import sys

import numpy as np
import pytest
from command_line import run as _run

from cmnist_tfds import scoring, subsets
from cmnist_tfds.scoring import predictions, protocols, results
from cmnist_tfds.scoring.protocols import AUGMENTED, PAPER, STEPS
from cmnist_tfds.system.errors import PreparationError

# Settings, without PyTorch ---------------------------------------------------


def test_steps_do_not_depend_on_the_number_of_images():
  for name, steps in (('2-FKd', 3000), ('2-FKd-r-1', 300), ('1-F-r-100', 300)):
    for examples in (1, 120_000):
      found = STEPS.training_steps(subsets.subset(name), examples)
      assert (found, STEPS.count_used(examples)) == (steps, examples)


def test_the_paper_leaves_out_a_fifth_and_the_last_batch():
  subset = subsets.subset('2-FKd')
  assert PAPER.count_used(120_000) == 96_000
  assert PAPER.training_steps(subset, 120_000) == 20 * 93
  assert PAPER.training_steps(subset, 1280) == 20
  with pytest.raises(
    PreparationError, match=r'1,024 .*2-FKd-r-50 has 1,000, .*800 .*steps'
  ):
    PAPER.training_steps(subsets.subset('2-FKd-r-50'), 1000)


def test_results_say_how_they_were_made():
  for network, protocol, name, weights, expected in (
    ('lenet', STEPS, '2-FKd', None, 'LeNet, 3,000 steps of 64'),
    ('lenet', STEPS, '2-FKd', None, 'net --net lenet --protocol steps'),
    ('lenet', STEPS, '2-FKd-r-10', None, 'LeNet, 300 steps of 64'),
    ('cnn', AUGMENTED, '2-FKd', None, '8,000 steps of 64, distorted images'),
    ('lenet', PAPER, '2-FKd', None, 'LeNet is not in the paper'),
    ('resnet18', PAPER, '2-FKd', 'r.pth', '20 epochs in batches of 1,024'),
    ('resnet18', PAPER, '2-FKd', 'r.pth', 'never unfrozen'),
  ):
    subset = subsets.subset(name)
    about = protocols.describe(network, protocol, subset, weights)
    assert expected in about['method'] + about['code']
    pretraining = f'ImageNet, {weights}' if weights else 'none'
    assert about['pretraining'] == pretraining


# The command -----------------------------------------------------------------


@pytest.fixture
def baseline(capsys, tmp_path):
  """Returns what trains LeNet on subsets of the sample."""

  argv = ('baseline', 'net', '--net', 'lenet', '--sample', '-o', tmp_path)
  return functools.partial(_run, capsys, *argv)


def test_a_subset_without_training_images_is_refused(baseline):
  pytest.importorskip('torch', reason='PyTorch is not installed')
  status, _, err = baseline('2-FKd-r-5', '1-Dg')
  assert status == 1
  assert 'CMNIST-1-Dg has no training images' in err


@pytest.mark.parametrize('missing', ['torch', 'torchvision'])
def test_without_a_library_its_extra_is_named(baseline, monkeypatch, missing):
  if missing == 'torchvision':
    pytest.importorskip('torch', reason='PyTorch is not installed')
  module = 'cmnist_tfds.scoring.networks'
  monkeypatch.delitem(sys.modules, module, raising=False)
  monkeypatch.delattr(scoring, 'networks', raising=False)
  monkeypatch.setitem(sys.modules, missing, None)
  status, _, err = baseline('2-FKd-r-5', '--net', 'resnet18')
  assert status == 1
  assert f'needs {missing}' in err and '[torch]' in err


@pytest.fixture
def torch():
  return pytest.importorskip('torch', reason='PyTorch is not installed')


@pytest.mark.slow
@pytest.mark.usefixtures('torch')
def test_the_command_trains(baseline, tmp_path):
  status, out, _ = baseline('2-FKd-r-5')
  assert status == 0
  assert '1 result in' in out
  place = tmp_path / '2-FKd-r-5/lenet-steps.npz'
  first = predictions.read_predictions(place)
  # A guess is right once in twenty times.
  assert (first.predicted == first.labels).mean() > 0.7
  assert (first.seeds, first.draws) == ((1,), (0,))
  # The same seed gives the same predictions.
  place.unlink()
  baseline('2-FKd-r-5')
  again = predictions.read_predictions(place)
  np.testing.assert_array_equal(first.predicted, again.predicted)


@pytest.fixture
def networks(torch):
  from cmnist_tfds.scoring import networks as networks_

  return networks_


@pytest.fixture
def quick_training(networks, monkeypatch):
  """Replaces training; returns what was asked of it."""
  asked = []

  def predict(opened, network, protocol, seed, weights):
    asked.append((opened.subset.name, getattr(opened, 'draw', 0), seed))
    if len(asked) == 4:
      raise KeyboardInterrupt
    return np.full(len(opened.split('test')), seed), seed / 100

  monkeypatch.setattr(networks, 'predict', predict)
  return asked


def test_a_run_that_was_stopped_goes_on(baseline, quick_training, tmp_path):
  command = ('2-FKd-r-5', '--seeds', 2, '--draws', 2)
  assert baseline(*command)[0] == 130
  assert quick_training == [
    ('2-FKd-r-5', draw, seed) for draw, seed in [(0, 1), (0, 2), (1, 1), (1, 2)]
  ]
  place = tmp_path / '2-FKd-r-5'
  stopped = predictions.read_predictions(place / 'lenet-steps-draws.npz')
  assert (stopped.draws, stopped.seeds) == ((1,), (1,))
  assert baseline(*command)[1].count('was there') == 1
  assert [asked[1:] for asked in quick_training[4:]] == [(1, 2), (2, 1), (2, 2)]
  found = predictions.read_predictions(place / 'lenet-steps-draws.npz')
  assert (found.draws, found.seeds) == ((1, 1, 2, 2), (1, 2, 1, 2))
  np.testing.assert_array_equal(found.predicted[:, 0], [1, 2, 1, 2])
  # What is known of each run stays with it.
  facts = results.run_facts(found)
  rates = [of_run['learning_rate'] for of_run in facts]
  assert rates == ['0.01', '0.02', '0.01', '0.02']
  assert all(re.fullmatch(r'\d+\.\d\d s', f['time']) for f in facts)
  assert all('numpy' in f['versions'] and f['machine'] for f in facts)
  # More seeds are added, and what is there stays.
  baseline('2-FKd-r-5', '--seeds', 3)
  assert [asked[1:] for asked in quick_training[7:]] == [(0, 3)]
  # The scores were not written before a kill.
  (place / 'lenet-steps.json').unlink()
  assert baseline(*command, '--seeds', 1)[1].count('was there') == 2
  assert len(quick_training) == 8
  assert (place / 'lenet-steps.json').exists()


# Networks and weights --------------------------------------------------------

# Parameters of torchvision's networks with 1,000 classes, by its documentation.
_PARAMETERS = {
  'squeezenet': 1_235_496,
  'resnet18': 11_689_512,
  'resnet50': 25_557_032,
}


@pytest.fixture(params=protocols.NETWORKS)
def name(request, torch):
  if request.param not in ('lenet', 'cnn'):
    pytest.importorskip('torchvision', reason='torchvision is not installed')
  return request.param


def test_networks_score_every_class(name, torch, networks):
  network = networks.make_network(name, 131)
  assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 131)
  if name in _PARAMETERS:
    whole = networks.make_network(name, 1000)
    count = sum(parameter.numel() for parameter in whole.parameters())
    assert count == _PARAMETERS[name]


def test_distorted_images_stay_in_place(torch, networks):
  distortion = protocols.AUGMENTED.distortion
  torch.manual_seed(0)
  batch = torch.zeros(500, 1, 28, 28)
  batch[:, :, 10:18, 10:18] = 1
  found = networks._distorted(batch, distortion)
  assert found.shape == batch.shape
  # A square of 8 x 8 pixels at the center keeps its size, by and large, and
  # moves by at most the shift, in pixels.
  assert abs(found.sum((1, 2, 3)).mean() / 64 - 1) < 0.05
  rows = (found.sum(3)[:, 0] * torch.arange(28)).sum(1) / found.sum((1, 2, 3))
  most = distortion.shift * 14
  assert 0.8 * most < (rows - 13.5).abs().max() < 1.2 * most
  assert torch.equal(
    networks._distorted(batch, protocols.Distortion(0, (1, 1))), batch
  )


@pytest.mark.parametrize('name', ['lenet', 'resnet18'], indirect=True)
def test_weights_go_into_all_layers_but_the_last(
  name, tmp_path, torch, networks
):
  file = tmp_path / f'{name}-f37072fd.pth'
  torch.save(networks.make_network(name, 1000).state_dict(), file)
  weights, title = networks.read_weights(file, name)
  assert title.startswith(f'{name}-f37072fd.pth, SHA-256 ')
  made = networks.make_network(name, 20, weights).state_dict()
  for key, value in torch.load(file).items():
    if key.startswith('fc3' if name == 'lenet' else 'fc.'):
      assert made[key].shape[0] == 20
    else:
      assert torch.equal(made[key], value)


@pytest.mark.parametrize('fault', ['other', 'cut', 'text', 'tensor', ''])
def test_files_without_weights_are_refused(baseline, tmp_path, torch, fault):
  file = tmp_path / f'{fault}.pth'
  if fault:
    zeros = torch.zeros(3)
    torch.save(zeros if fault == 'tensor' else {'conv1.weight': zeros}, file)
  if fault == 'cut':
    file.write_bytes(file.read_bytes()[:-100])
  elif fault == 'text':
    file.write_text('root:x:0:0:root\n', 'utf-8')
  status, _, err = baseline('2-FKd-r-5', '--weights', file)
  assert status == 1
  assert str(file) in err
  assert err.count('\n') == 1
