# SPDX-License-Identifier: Apache-2.0
"""Fill a folder with origin files, to copy or to serve over HTTP."""

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.origin import audit

ARGUMENTS = {
  **arguments.folder('folder to fill; no file that it holds is changed'),
  'names NAME*': 'get only the files of the sources of these subsets',
  **arguments.DATA_DIR,
  **arguments.LOCATIONS,
  **arguments.TIMEOUT,
}


def run(args: arguments.Namespace) -> int:
  """Runs the command; returns its exit status."""
  status, sources = 0, arguments.named_sources(args)
  where = arguments.origin_locations(args)
  for file, came_from, fault in audit.fill(args.output, sources, where):
    if fault:
      status = terminal.fail(f'{file.path}: {fault}')
    else:
      came = f'from {came_from}' if came_from else 'was there'
      print(f'{file.path}: {came}', flush=True)
  return status
