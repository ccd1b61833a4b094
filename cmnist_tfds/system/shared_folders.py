# SPDX-License-Identifier: Apache-2.0
"""Makes folders inside folders that several users may share."""

from __future__ import annotations

import pathlib
import stat

# The bits of a mode that let other users write.
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_folder(path: pathlib.Path) -> None:
  """Makes a folder and its parents, unless they exist.

  Whoever may write to the folder that a new one is in may write to the new one
  too, whatever the umask is: a folder that several users share stays shared. An
  exception is a folder with the sticky bit, such as /tmp. What a user makes
  there is the user's own.

  Args:
    path: The folder.

  Raises:
    OSError: If it cannot be made, or something else is at its place.
  """
  missing = []
  while not path.is_dir():
    missing.append(path)
    path = path.parent
  for folder in reversed(missing):
    folder.mkdir(exist_ok=True)
    mode = folder.parent.stat().st_mode
    if mode & OTHERS_MAY_WRITE and not mode & stat.S_ISVTX:
      own = stat.S_IMODE(folder.stat().st_mode)
      try:
        folder.chmod(own | (mode & (OTHERS_MAY_WRITE | stat.S_ISGID)))
      except PermissionError:
        # Another process made it first, or the file system has no modes.
        continue
