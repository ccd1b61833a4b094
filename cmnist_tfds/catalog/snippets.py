# SPDX-License-Identifier: Apache-2.0
"""Code that loads a subset, for each framework."""

from __future__ import annotations

import dataclasses

from cmnist_tfds.subsets import Subset


@dataclasses.dataclass(frozen=True)
class Snippet:
  """Code that loads a subset.

  Attributes:
    framework: The framework that the code is for.
    language: The language of the code, 'python' or 'sh'.
    code: The code.
  """

  framework: str
  language: str
  code: str


_ARRAYS = """\
import cmnist_tfds

(x_train, y_train), (x_test, y_test) = cmnist_tfds.load_data('{name}')
"""

_PYTHON = {
  'TensorFlow Datasets': """\
import cmnist_tfds
import tensorflow_datasets as tfds

train, info = tfds.load(
  'cmnist/{name}', split='train', as_supervised=True, with_info=True
)
""",
  'NumPy': _ARRAYS,
  'Keras': _ARRAYS
  + """\

import keras

model = keras.Sequential([
  keras.layers.Rescaling(1 / 255),
  keras.layers.Flatten(),
  keras.layers.Dense({classes}),
])
model.compile(
  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  metrics=['accuracy'],
)
model.fit(x_train[..., None], y_train, batch_size=1024)
""",
  'PyTorch': """\
from torch.utils.data import DataLoader

from cmnist_tfds.load.torch_dataset import CMNIST

train = CMNIST('{name}', 'train')
for images, labels in DataLoader(train, batch_size=256, shuffle=True):
  images = images.float() / 255
""",
  'JAX': _ARRAYS
  + """\

import jax.numpy as jnp

x_train = jnp.asarray(x_train[..., None]) / 255
y_train = jnp.asarray(y_train)
""",
}

_COMMANDS = """\
cmnist build {name}
cmnist show {name} -o {name}.png
"""


def snippets_of(subset: Subset) -> list[Snippet]:
  """Returns the code that loads a subset, for each framework."""
  snippets = [Snippet(f, 'python', code) for f, code in _PYTHON.items()]
  snippets.append(Snippet('Command line', 'sh', _COMMANDS))
  return [
    dataclasses.replace(
      s, code=s.code.format(name=subset.name, classes=len(subset.classes))
    )
    for s in snippets
  ]
