# SPDX-License-Identifier: Apache-2.0
"""Makes MultiMNIST from MNIST: two overlapping digits in each image.

    python examples/make_multimnist.py --split test --count 10000 -o multi.npz

An image of MultiMNIST has two labels, so it cannot be a source of CMNIST, whose
images have one. This script makes it by the rule of its paper (S. Sabour, N.
Frosst and G. Hinton, "Dynamic routing between capsules", 2017, section 6): a
digit is laid over another one of the same split and of another class, each
shifted by up to 4 pixels in each direction, which gives images of 36x36 pixels.
Pixels are added and cut off at 255. The paper makes 1,000 images of each digit
of MNIST, 60 million for training and 10 million for test.
"""

from __future__ import annotations

import argparse

import numpy as np

import cmnist_tfds

SHIFT = 4
SIZE = 28 + 2 * SHIFT


def make(
  images: np.ndarray,
  labels: np.ndarray,
  count: int,
  random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Makes images of two digits.

  Args:
    images: uint8 (n, 28, 28), digits of one split, in any order.
    labels: Integers (n,), their classes, of which there are at least two.
    count: How many images to make. Each digit is the first of equally many, or
      of one more.
    random: Chooses the second digits and the shifts.

  Returns:
    The images, uint8 (count, 36, 36), and the labels of both digits in each,
    int64 (count, 2), the first digit's first.
  """
  first = np.arange(count) % len(labels)
  second = random.integers(0, len(labels), count)
  # Draw again until the classes differ.
  while len(same := np.flatnonzero(labels[first] == labels[second])):
    second[same] = random.integers(0, len(labels), len(same))
  joined = np.zeros((count, SIZE, SIZE), np.uint16)
  for chosen in (first, second):
    shifts = random.integers(0, 2 * SHIFT + 1, (count, 2))
    for number, (digit, (top, left)) in enumerate(
      zip(chosen, shifts, strict=True)
    ):
      joined[number, top : top + 28, left : left + 28] += images[digit]
  both = np.stack([labels[first], labels[second]], 1).astype(np.int64)
  return np.minimum(joined, 255).astype(np.uint8), both


def main() -> None:
  """Makes MultiMNIST as the arguments say."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--split', choices=('train', 'test'), default='train')
  parser.add_argument('--count', type=int, default=60_000)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--data_dir', help='folder of prepared datasets')
  parser.add_argument('-o', '--output', required=True, metavar='FILE.npz')
  args = parser.parse_args()
  images, labels = cmnist_tfds.load_data(
    '1-Mn', split=args.split, data_dir=args.data_dir
  )
  made, both = make(
    images, labels, args.count, np.random.default_rng(args.seed)
  )
  np.savez_compressed(args.output, images=made, labels=both)
  print(f'{args.output}: {len(made):,} images of two digits')


if __name__ == '__main__':
  main()
