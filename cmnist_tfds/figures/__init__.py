# SPDX-License-Identifier: Apache-2.0
"""Pictures of subsets.

What is drawn (`montage`, `histogram`, `confusable`) is a `drawing.Drawing`; how
it becomes a file is for `svg` and `raster` to know.
"""
