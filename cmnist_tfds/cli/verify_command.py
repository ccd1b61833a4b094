# SPDX-License-Identifier: Apache-2.0
"""Find each origin file on this computer and check that it is correct."""

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.origin import audit
from cmnist_tfds.system import streams

ARGUMENTS = {
  'names NAME*': 'check only the files of the sources of these subsets',
  **arguments.DATA_DIR,
  **arguments.LOCATIONS,
  '--hashes': 'print the SHA-256 of each file and the fingerprint of the array in'
  ' it, to report a file for which none is recorded',
  **arguments.printed('text', 'json'),
}


def run(args: arguments.Namespace) -> int:
  """Runs the command; returns its exit status."""
  where = arguments.origin_locations(args)
  sources = arguments.named_sources(args)
  found = audit.audit(sources, where, hashes=args.hashes)
  total = sum(len(source.origin_files) for source in sources)
  findings = [*streams.progress_bar(found, desc='Checking', total=total)]
  num_wrong = sum(bool(finding.fault) for finding in findings)
  if args.format == 'json':
    terminal.print_json(findings)
    return terminal.FAILED if num_wrong else 0
  place = None
  for finding in findings:
    file, copy = finding.file, finding.copy
    if copy:
      inside = copy.member or copy.path.is_dir()
      found_in = copy.path if inside else copy.path.parent
      # Where files lie is said once for those that lie together.
      if found_in != place:
        terminal.print_wrapped(f'in {found_in}:')
      place = found_in
    name = file.path if file.array == 'arr_0' else f'{file.path} {file.array}'
    size = f'{file.size:,}' if file.size else '-'
    wrong = 'WRONG' if copy else 'missing'
    state = finding.proof.value if finding.proof else wrong
    print(f'  {name:50} {size:>11}  {state}')
    if copy and finding.fault:
      terminal.print_wrapped(finding.fault, indent=4)
    for hashed in ('sha256', 'fingerprint'):
      if value := getattr(finding, hashed):
        print(f'    {hashed} {value}')
  missing = [finding.file for finding in findings if not finding.copy]
  for remedy in audit.remedies(missing, where.manual_dir):
    terminal.print_wrapped(remedy)
  if missing:
    print('`cmnist mirror -o DIR` fetches missing files from all their homes.')
  noun = 'file is' if len(findings) == 1 else 'files are'
  print(f'{len(findings) - num_wrong} of {len(findings)} {noun} right')
  return terminal.FAILED if num_wrong else 0
