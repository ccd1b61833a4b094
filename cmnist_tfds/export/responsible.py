# SPDX-License-Identifier: Apache-2.0
"""What Croissant says of whose data a subset is, and how to use it responsibly.

All of it follows from the declarations of the sources and from the choice that the
subset makes of them.
"""

from __future__ import annotations

from typing import Any

from cmnist_tfds import subsets
from cmnist_tfds.sample import NOTICE
from cmnist_tfds.sources import Source, licenses
from cmnist_tfds.subsets import Subset

# What stands where the declaration of a source states nothing.
_UNSTATED = ('Its declaration states nothing of this.',)
_NOT_FOR = 'Not to show how well a program reads text, or knows things.'
_AUTHORS = 'The cmnist_tfds Authors'


def facts(subset: Subset, *, sample: bool) -> dict[str, Any]:
  """Returns creator, keywords, licenses, origin and facts for responsible AI.

  Args:
    subset: What is described: a subset, or what the sample has of it.
    sample: Whether that is the sample.

  Returns:
    Properties of a Croissant description, which the vocabularies of schema.org,
    Croissant RAI 1.0 and PROV name. What nobody has declared is said to be so,
    but for `rai:hasSyntheticData`, which is then left out.
  """
  kept, sources = subset.per_class, subset.sources
  use = 'test' if subset.num_train == 0 else 'train and compare'
  limits, biases = _stated(subset, 'known_issues'), _stated(subset, 'biases')
  limits.append('Images are of 28 x 28 gray pixels, and show single things.')
  limits += [NOTICE] * sample
  if kept:
    limits.append(f'Train is the first {kept:,} of each class, not at random.')
  if len(sources) > 1:
    biases.append('A class is of one source, whose style may give it away.')
  if (ratio := subset.imbalance or 1) > 1:
    biases.append(f'Largest to smallest class, in train: {ratio:g} to 1.')
  steps = [
    f'{s.title} ({", ".join(map(str, s.steps)) or "none"})' for s in sources
  ]
  made = f'cmnist_tfds joins them, after steps on images: {", ".join(steps)}.'
  maker = ('Organization', _AUTHORS) if sample else ('Person', subsets.AUTHOR)
  properties: dict[str, Any] = {
    'creator': {'@type': f'sc:{maker[0]}', 'name': maker[1]},
    'keywords': ['CMNIST', 'image classification', *(s.title for s in sources)],
    'license': [*dict.fromkeys(map(_license, sources))],
    'rai:dataLimitations': limits,
    'rai:dataBiases': biases,
    'rai:personalSensitiveInformation': _stated(subset, 'personal_information'),
    'rai:dataUseCases': [f'To {use} classifiers of small images.', _NOT_FOR],
    'rai:dataSocialImpact': ' '.join(_stated(subset, 'social_impact')),
    'prov:wasDerivedFrom': [
      {'@type': 'prov:Entity', 'name': s.title, 'license': s.stated_license}
      | {('@id' if s.has_page else 'description'): s.homepage}
      for s in sources
    ],
    'prov:wasGeneratedBy': [
      {'@type': 'prov:Activity', 'description': text}
      for text in (*_stated(subset, 'collection'), made)
    ],
  }
  synthetic = {source.synthetic for source in sources}
  if True in synthetic or None not in synthetic:
    properties['rai:hasSyntheticData'] = True in synthetic
  return properties


def _license(source: Source) -> str:
  """Returns the address of a license, or what is stated in place of one."""
  spdx = licenses.find(source.license).spdx
  page = f'https://spdx.org/licenses/{spdx}.html' if spdx else source.license
  return page if page.startswith('http') else f'{source.title}: {page}'


def _stated(subset: Subset, field: str) -> list[str]:
  """Returns what the sources of a subset state, each text once."""
  titles: dict[str, list[str]] = {}
  unstated = () if field == 'known_issues' else _UNSTATED
  for source, raw in subset.members:
    taken, all_ = len(raw), len(source.class_names)
    part = f' as a whole (here {taken} of {all_} classes)' * (taken < all_)
    for text in getattr(source, field) or unstated:
      titles.setdefault(text, []).append(source.title + part)
  return [f'{", ".join(of)}: {text}' for text, of in titles.items()]
