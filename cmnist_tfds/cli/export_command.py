# SPDX-License-Identifier: Apache-2.0
"""Write a subset as files that can be read without TFDS."""

from cmnist_tfds.cli import arguments
from cmnist_tfds.export import files

ARGUMENTS = {
  **arguments.SUBSET,
  '--format': {
    'choices': tuple(files.FORMATS),
    'required': True,
    'help': 'png: a folder of images for each class, as ImageNet, and lists of'
    ' them; idx: the four files of MNIST, plain and packed; npz: one file with'
    ' the arrays of keras.datasets; csv: the layout of the published generator;'
    ' csv-pixels: label and pixels in a row, as on Kaggle',
  },
  **arguments.OUTPUT,
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  files.export_files(args.open(args.subset), args.format, args.output)
  name = f'{args.dataset}/{args.subset.name}'
  print(f'{name}: written as {args.format} to {args.output}')
