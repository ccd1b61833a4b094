# SPDX-License-Identifier: Apache-2.0
"""Trains a small convolutional network on a CMNIST subset, with Keras 3.

    python examples/train_keras.py --subset 3-EElKm --epochs 12 --sample

Runs on whichever backend Keras is set to (KERAS_BACKEND: tensorflow, jax or
torch). Prints accuracy and balanced accuracy (the mean of the classes' recalls)
on the test split: where classes are unbalanced, as in Kuzushiji-49, the two
differ and the second is the fairer. Writes the predictions to a file, which
`cmnist evaluate` scores class by class.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np

import cmnist_tfds


def build_model(num_classes: int) -> keras.Model:
  """Returns a network for uint8 images (n, 28, 28) and so many classes."""
  return keras.Sequential(
    [
      keras.Input((28, 28)),
      keras.layers.Rescaling(1 / 255),
      keras.layers.Reshape((28, 28, 1)),
      keras.layers.Conv2D(32, 3, activation='relu'),
      keras.layers.MaxPooling2D(),
      keras.layers.Conv2D(64, 3, activation='relu'),
      keras.layers.MaxPooling2D(),
      keras.layers.Flatten(),
      keras.layers.Dropout(0.5),
      keras.layers.Dense(num_classes, activation='softmax'),
    ]
  )


def main() -> None:
  """Trains, writes predictions and prints the two accuracies."""
  parser = argparse.ArgumentParser(
    description=__doc__.partition('\n')[0],
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
  )
  parser.add_argument('--subset', default='3-EElKm', help='name of a subset')
  parser.add_argument('--epochs', type=int, default=12)
  parser.add_argument('--batch_size', type=int, default=64)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--predictions', default='predictions.npz', help='file to write'
  )
  parser.add_argument('--data_dir', help="where datasets are; TFDS's if unset")
  parser.add_argument(
    '--sample',
    action='store_true',
    help='train on the small synthetic sample, which needs no network',
  )
  args = parser.parse_args()

  keras.utils.set_random_seed(args.seed)
  (x_train, y_train), (x_test, y_test) = cmnist_tfds.load_data(
    args.subset, data_dir=args.data_dir, sample=args.sample
  )
  model = build_model(len(cmnist_tfds.subset(args.subset).classes))
  model.compile(
    optimizer='adam',
    loss='sparse_categorical_crossentropy',
    metrics=['accuracy'],
  )
  # The prepared order is shuffled; Keras shuffles again before each epoch.
  model.fit(
    x_train,
    y_train,
    batch_size=args.batch_size,
    epochs=args.epochs,
    verbose=2,
  )
  class_scores = model.predict(x_test, batch_size=1024, verbose=0)
  saved = cmnist_tfds.save_predictions(
    args.predictions,
    args.subset,
    np.argmax(class_scores, axis=1),
    y_test,
    method='small convolutional network',
    code='examples/train_keras.py',
    pretraining='none',
    validation='none: the settings were not tuned',
    seed=args.seed,
    sample=args.sample,
    data_dir=args.data_dir,
  )
  scores = cmnist_tfds.evaluate(
    args.subset, saved, sample=args.sample, data_dir=args.data_dir
  )
  print(f'accuracy           {scores.accuracy.value:.4f}')
  print(f'balanced accuracy  {scores.balanced_accuracy.value:.4f}')


if __name__ == '__main__':
  main()
