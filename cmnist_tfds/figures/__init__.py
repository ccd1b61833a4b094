# SPDX-License-Identifier: Apache-2.0
"""Pictures of subsets, drawn by matplotlib.

`montage`, `histogram`, `pair_grid` and `confusion_matrix` draw figures, which
`pictures` saves as files.
"""
