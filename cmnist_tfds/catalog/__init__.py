# SPDX-License-Identifier: Apache-2.0
"""The catalog: a static site with a page for each subset and each source."""
