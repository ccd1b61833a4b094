# SPDX-License-Identifier: Apache-2.0
"""Scores predictions: metrics, intervals, comparisons, baselines, duplicates.

`predictions` describes the file of predictions. `evaluation` scores such files
and `comparison` compares two of them. `nearest_neighbors` is the baseline that
needs no training, and `duplicates` finds images that occur twice.

`cmnist_tfds.evaluate` is the function of that name. Import modules of this package
as `from cmnist_tfds.scoring import predictions`.
"""
