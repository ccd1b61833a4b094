# SPDX-License-Identifier: Apache-2.0
"""Packaging: what stands beside the package travels inside it."""

import setuptools

# checksums/ and dummy_data/ stand at the top level of the repository and are
# folders of the installed package; `cmnist_tfds.system.paths` finds them in both.
_BESIDE = ('checksums', 'dummy_data')

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=['cmnist_tfds', 'cmnist_tfds.*']),
    *(f'cmnist_tfds.{folder}' for folder in _BESIDE),
  ],
  package_dir={f'cmnist_tfds.{folder}': folder for folder in _BESIDE},
  include_package_data=False,  # what travels is listed below
  package_data={
    'cmnist_tfds': ['py.typed'],
    'cmnist_tfds.sources': ['*.toml', '*.json', 'extensions/*.toml'],
    'cmnist_tfds.cache': ['*.json'],
    'cmnist_tfds.scoring': ['*.toml', '*.tsv'],
    'cmnist_tfds.export': ['*.md'],
    'cmnist_tfds.catalog': ['static/*', 'templates/*'],
    'cmnist_tfds.figures': ['*.ttf', '*.txt'],
    'cmnist_tfds.tfds_pr': ['templates/*'],
    'cmnist_tfds.checksums': ['*.tsv'],
    'cmnist_tfds.dummy_data': ['README.md', '*/*'],
    # What TFDS reads from beside a builder.
    'cmnist_tfds.datasets.cmnist': ['*.md', '*.bib', '*.txt'],
    'cmnist_tfds.datasets.cmnist_sample': ['*.md', '*.bib', '*.txt'],
  },
)
