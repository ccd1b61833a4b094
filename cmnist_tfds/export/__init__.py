# SPDX-License-Identifier: Apache-2.0
"""Writes subsets in formats that other tools read."""
