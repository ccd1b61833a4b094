# SPDX-License-Identifier: Apache-2.0
"""Runs snippets of documentation, a list of them as JSON on stdin, in order.

Those that import this package share this process, since imports take seconds;
each has names of its own. Others are run as a user without it would run them.
"""

import json
import subprocess
import sys

# As if both were installed.
_COMMANDS = f"""
python() {{ {sys.executable} "$@"; }}
cmnist() {{ python -m cmnist_tfds "$@"; }}
"""

if __name__ == '__main__':  # Processes that a snippet starts import this.
  for language, code in json.load(sys.stdin):
    if language == 'python' and 'import cmnist_tfds' in code:
      # The code is in the traceback of what fails.
      exec(compile(code, f'<{code}>', 'exec'), {'__name__': '__main__'})
    else:
      # Users should see no warnings either.
      command = (
        ['sh', '-e', '-c', _COMMANDS + code]
        if language == 'sh'
        else [sys.executable, '-W', 'error::UserWarning', '-c', code]
      )
      subprocess.run(command, check=True)
