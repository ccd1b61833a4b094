# SPDX-License-Identifier: Apache-2.0
"""Builds the sample in two processes, and is interrupted with a lock in hand.

The argument is the folder of the prepared datasets. Python may run the handler of
a signal just after a `Condition` was entered and before its block begins, which
leaves it locked. Here this happens to the first one that the main thread enters
after a subset was built, while other threads want it.
"""

import pathlib
import sys
import threading
import time

from cmnist_tfds import cli

_FOLDER = pathlib.Path(sys.argv[1])
_BUILT = '*/*/*/dataset_info.json'
_MAIN = threading.get_ident()
_enter = threading.Condition.__enter__


def _interrupted(condition: threading.Condition) -> bool:
  entered = _enter(condition)
  if threading.get_ident() == _MAIN and any(_FOLDER.glob(_BUILT)):
    threading.Condition.__enter__ = _enter  # type: ignore[method-assign]
    time.sleep(1)
    raise KeyboardInterrupt
  return entered


if __name__ == '__main__':
  threading.Condition.__enter__ = _interrupted  # type: ignore[method-assign]
  argv = ['build', '--all', '--sample', '--jobs', '2', '--data_dir']
  sys.exit(cli.main([*argv, str(_FOLDER)]))
