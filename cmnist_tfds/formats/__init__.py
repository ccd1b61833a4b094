# SPDX-License-Identifier: Apache-2.0
"""File formats, and helpers that read and write them."""
