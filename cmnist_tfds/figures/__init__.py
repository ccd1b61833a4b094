# SPDX-License-Identifier: Apache-2.0
"""Pictures of subsets.

`montage`, `histogram` and `pair_grid` lay out a `drawing.Drawing`; `svg` and
`raster` turn a drawing into a file.
"""
