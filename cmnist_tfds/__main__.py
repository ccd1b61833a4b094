# SPDX-License-Identifier: Apache-2.0
"""`python -m cmnist_tfds` is the command `cmnist`."""

import sys

from cmnist_tfds import cli

if __name__ == '__main__':
  sys.exit(cli.main())
