# SPDX-License-Identifier: Apache-2.0
"""The sources of CMNIST, as records: the eleven of the paper, and extensions.

`SOURCES` holds the eleven. `registry` finds further sources when a name needs
them.

Everything the package knows of a source stands in its declaration and nowhere
else: names, files, figures, labels, license, citation, and whose data it is.
`declaration` describes the form of declarations, which are the TOML files of this
folder. `licenses` has what licenses permit.

Facts are those of the paper (S. Wenkel, "Concatenated MNIST (CMNIST): Making
784 pixels challenging again", 2019, section 3), of its published generator
(github.com/swenkel/cmnist) and of the sources' own files and pages. Sizes and
hashes are those of the files as their origins publish them.
"""

from __future__ import annotations

from cmnist_tfds.sources import registry
from cmnist_tfds.sources.records import IMAGE_SIZE, OriginFile, Source, Split
from cmnist_tfds.sources.registry import SOURCES

# What is defined elsewhere and imported from here.
__all__ = ['IMAGE_SIZE', 'SOURCES', 'OriginFile', 'Source', 'Split']

SPLITS = ('train', 'test')


def source(key: str) -> Source:
  """Returns the source of a key, as 'Km'.

  Args:
    key: The key, in the letter case it is declared in.

  Returns:
    The source, one of the eleven or an extension.

  Raises:
    KeyError: If there is no source of that key.
  """
  by_key = {record.key: record for record in SOURCES}
  if key not in by_key:
    by_key = {s.key: s for s in registry.registry().extensions}
  return by_key[key]
