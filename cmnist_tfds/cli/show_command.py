# SPDX-License-Identifier: Apache-2.0
"""Draw examples of every class, with class names."""

from __future__ import annotations

from cmnist_tfds.cli import arguments

ARGUMENTS = {
  **arguments.SUBSET,
  '--output FILE': arguments.path(
    'picture to write, a .png or .svg file', arguments.picture, required=True
  ),
  'one of': {
    '--histogram': 'draw the number of examples of every class instead',
    '--confusable': 'draw the pairs of classes of different sources that look'
    ' most alike instead',
  },
  '--examples N': arguments.number(
    'number of examples of each class to draw (default: 3) or, with'
    ' --confusable, to compare (default: 60)'
  ),
  '--dark': 'draw light on a dark background',
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.figures import draw, pictures

  opened, name = args.open(args.subset), f'{args.dataset}/{args.subset.name}'
  drawn = {n: getattr(args, n) for n in ('histogram', 'confusable', 'examples')}
  pictures.save(args.output, lambda: draw.draw(opened, **drawn), dark=args.dark)
  print(f'{name}: {args.subset.num_classes} classes drawn to {args.output}')
