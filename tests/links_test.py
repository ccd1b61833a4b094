# SPDX-License-Identifier: Apache-2.0
"""Links between the Markdown files of the repository lead somewhere."""

from __future__ import annotations

import re

import pytest
from running import REPOSITORY

_PAGES = sorted([*REPOSITORY.glob('*.md'), *REPOSITORY.glob('docs/*.md')])


def _anchors(text):
  """The anchors that GitHub gives to headings."""
  prose = re.sub('^```.*?^```$', '', text, flags=re.M | re.S)
  return {
    re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-')
    for heading in re.findall('^#+ (.*)', prose, re.M)
  }


@pytest.mark.parametrize('page', _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
  links = re.findall(r'\]\(([^)\s]+)\)', page.read_text('utf-8'))
  for link in [link for link in links if not re.match('[a-z]+:', link)]:
    path, _, anchor = link.partition('#')
    target = (page.parent / path).resolve() if path else page
    assert target.exists(), link
    if anchor:
      assert anchor in _anchors(target.read_text('utf-8')), link
