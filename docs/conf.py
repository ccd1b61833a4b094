# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the site of the documentation.

Run this in the repository, with the extras `docs` and `figures` installed:

    sphinx-build -W --keep-going docs build/site
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import re
import types

import msgspec
from sphinx.ext.autodoc.mock import mock
from sphinx.util import logging

import cmnist_tfds

_DOCS = pathlib.Path(__file__).resolve().parent
_LINK_UP = re.compile(r'\[([^\]]*)\]\((\.\./[^)#]+)[^)]*\)')
_PICTURE = re.compile(r'!\[([^\]]*)\]\(([\w./-]+)\.(png|svg)\)')
# The one place that has the address of the repository.
_PROJECT = msgspec.toml.decode((_DOCS.parent / 'pyproject.toml').read_bytes())
_REPOSITORY = _PROJECT['project']['urls']['Repository']
# Where a notebook can be opened. Both take the address of its file on GitHub.
_LAUNCHERS = {
  'Colab': 'https://colab.research.google.com/github/',
  'Kaggle': 'https://www.kaggle.com/kernels/welcome?src=https://github.com/',
}
_log = logging.getLogger(__name__)

project = 'cmnist_tfds'
author = copyright = 'The cmnist_tfds Authors'
version = release = cmnist_tfds.__version__
html_title = f'{project} {version}'
html_theme = 'furo'
html_show_sourcelink = False
html_static_path = ['_static']
html_css_files = ['site.css']
html_copy_source = False
extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'myst_nb']

myst_enable_extensions = ['attrs_inline']  # classes of pictures

# Anchors of headings as GitHub makes them; a link to one that is not there is
# a warning.
myst_heading_anchors = 4

# The notebooks run whenever the site is built, and an error in one is an error
# of the build.
nb_execution_mode = 'force'
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_merge_streams = True  # what a cell prints is one block
os.environ['TQDM_DISABLE'] = '1'  # a bar is drawn many times over in a page

autoclass_content = 'both'  # of a class and of its construction
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings give shapes and dtypes
default_role = 'code'
smartquotes = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

if importlib.util.find_spec('torch') is None:
  # The site shows the PyTorch dataset, and PyTorch is too large for that.
  with mock(['torch']):
    import torch.utils.data

    torch.utils.data.Dataset = object
    torch.utils.data._utils = types.SimpleNamespace(
      collate=types.SimpleNamespace(default_collate_fn_map={})
    )
    import cmnist_tfds.load.torch_dataset


def _name_what_is_not_on_the_site(app, docname, source):
  """Names a file of the repository where a page links to it.

  On the site, there is nothing to link to.
  """
  page = pathlib.Path(app.env.doc2path(docname))

  def named(link):
    target = (page.parent / link[2]).resolve()
    if target.is_relative_to(_DOCS):
      return link[0]
    path = target.relative_to(_DOCS.parent).as_posix()
    if not target.exists():
      _log.warning('there is no %s to link to', path, location=docname)
    return link[1] if path in link[1] else f'{link[1]} (`{path}`)'

  source[0] = _LINK_UP.sub(named, source[0])


def _draw_in_the_colors_of_the_page(app, docname, source):
  """Shows the dark form of a picture, where there is one, on a dark page."""
  folder = pathlib.Path(app.env.doc2path(docname)).parent

  def both(picture):
    alt, path, suffix = picture.groups()
    if not (folder / f'{path}-dark.{suffix}').exists():
      return picture[0]
    dark = f'![{alt}]({path}-dark.{suffix})'
    return f'{picture[0]}{{.only-light}}{dark}{{.only-dark}}'

  source[0] = _PICTURE.sub(both, source[0])


def _add_launch_badges(_app, docname, source):
  """Adds links that open a notebook elsewhere, below its title."""
  if not docname.startswith('notebooks/'):
    return
  notebook = json.loads(source[0])
  repository = _REPOSITORY.removeprefix('https://github.com/')
  path = f'{repository}/blob/main/docs/{docname}.ipynb'
  badges = [
    f'[Open in {name}]({address}{path}){{.badge}}\n'
    for name, address in _LAUNCHERS.items()
  ]
  cell = {'cell_type': 'markdown', 'id': 'launch', 'metadata': {}}
  cell['source'] = badges
  notebook['cells'].insert(1, cell)
  source[0] = json.dumps(notebook)


def _mark_code(_app, _what, _name, _object, _options, lines):
  """Marks the indented examples of a docstring as code."""
  examples = [
    number
    for number, line in enumerate(lines)
    if line.startswith('    ')
    and number > 1
    and not lines[number - 1]
    and not lines[number - 2].startswith(' ')
  ]
  for number in reversed(examples):
    lines[number:number] = ['.. code-block:: python', '']


def setup(app):
  """Connects what is above."""
  app.connect('source-read', _name_what_is_not_on_the_site)
  app.connect('source-read', _draw_in_the_colors_of_the_page)
  app.connect('source-read', _add_launch_badges)
  # Before napoleon, which has 500, takes the sections apart.
  app.connect('autodoc-process-docstring', _mark_code, priority=400)
