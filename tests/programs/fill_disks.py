# SPDX-License-Identifier: Apache-2.0
"""Runs commands that write to a disk that is too small, one line of JSON each.

    unshare --mount python fill_disks.py DATA_DIR MOUNT_POINT

DATA_DIR has X-12 of the sample. Each command gets a new disk. Exits with 77 if
disks may not be mounted here.
"""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import subprocess
import sys

from cmnist_tfds import cli

data_dir, mount_point = sys.argv[1:]
out = f'{mount_point}/out'
sample = ['--sample', '--data_dir', data_dir]
# The sizes of the disks, in kB: TFDS writes metadata after the shards.
COMMANDS = [
  *(
    (64, ['export', 'X-12', '--format', form, *sample, '-o', out])
    for form in ('png', 'idx', 'npz', 'csv')
  ),
  (8, ['show', 'X-12', *sample, '-o', f'{out}.svg']),
  (8, ['show', 'X-12', *sample, '-o', f'{out}.png']),
  (64, ['catalog', *sample, '-o', out]),
  (64, ['croissant', 'X-12', *sample, '-o', out]),
  (64, ['publish', 'X-12', *sample, '-o', out]),
  (64, ['tfds-pr', out]),
  *(
    (size, ['build', 'X-12', '--sample', '--data_dir', out])
    for size in (4, 200, 776, 784)
  ),
  (64, ['build', '2-FKd', '--data_dir', out]),
  (64, ['mirror', out, '1-Km']),
]

for size, argv in COMMANDS:
  mounted = subprocess.run(
    ['mount', '-t', 'tmpfs', '-o', f'size={size}k', 'none', mount_point],
    check=False,
    capture_output=True,
  )
  if mounted.returncode:
    sys.exit(77)
  err = io.StringIO()
  with (
    contextlib.redirect_stdout(io.StringIO()),
    contextlib.redirect_stderr(err),
  ):
    status = cli.main(argv)
  kept = [str(p) for p in pathlib.Path(mount_point).rglob('*') if p.is_file()]
  print(json.dumps([argv[:4], status, err.getvalue(), kept]))
  subprocess.run(['umount', mount_point], check=True)
