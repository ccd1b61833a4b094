# SPDX-License-Identifier: Apache-2.0
"""The file formats: each module reads and writes one of them."""
