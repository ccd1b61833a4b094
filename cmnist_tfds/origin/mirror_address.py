# SPDX-License-Identifier: Apache-2.0
"""What a user's mirror names: a folder, or an HTTP address with a password."""

from __future__ import annotations

import pathlib
import re
import urllib.parse
import urllib.request

from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import OriginFileError

# A folder's name may have a colon too, but no scheme of ours or slashes after.
_ADDRESS = re.compile(r'(https?|file):|[^/]*://', re.IGNORECASE)


def without_password(url: str) -> str:
  """Returns an address without the user and the password that it may hold."""
  return re.sub(r'(?<=//)[^/]*@', '', url)


def parse(mirror: str) -> str | pathlib.Path:
  """Returns what a mirror names.

  Args:
    mirror: A folder, a `file://` address, or an HTTP address.

  Returns:
    The path of the folder; or the HTTP address with its scheme in lower case,
    without user and password, and without a slash at the end.

  Raises:
    OriginFileError: If it looks like an address and is none that can be used.
  """
  if not _ADDRESS.match(mirror):
    return paths.expanded(mirror)
  try:
    parts = urllib.parse.urlsplit(mirror)
    # Paths are added at the end, where nothing can follow.
    valid = parts.port != 0 and not (parts.query or parts.fragment)
  except ValueError:  # As of `http://[::1`.
    valid = False
  if valid and parts.scheme in ('http', 'https') and parts.hostname:
    address = without_password(parts.geturl())
    return address.rstrip('/')
  if valid and parts.scheme == 'file' and parts.netloc in ('', 'localhost'):
    return pathlib.Path(urllib.request.url2pathname(parts.path))
  # What precedes the last @ may be a password, however wrong the rest is, and
  # a query a token.
  shown = re.sub(r'(?<=:).*@', '//', mirror).partition('?')[0]
  raise OriginFileError(
    f'the mirror {shown}: expected a folder or a URL with a host and no query,'
    ' such as https://example.org/files or file:///srv/files'
  )


def credentials(mirror: str | None, url: str) -> tuple[str, str] | None:
  """Returns the user and the password for a request.

  Args:
    mirror: The user's mirror.
    url: The address of the request.

  Returns:
    Those in the mirror's address if the request goes to the mirror's server,
    else None.
  """
  address = parse(mirror) if mirror else None
  if not mirror or not isinstance(address, str):
    return None
  given, asked = urllib.parse.urlsplit(mirror), urllib.parse.urlsplit(url)
  server = urllib.parse.urlsplit(address)
  if given.username is None or asked[:2] != server[:2]:
    return None
  unquote = urllib.parse.unquote
  return unquote(given.username), unquote(given.password or '')
