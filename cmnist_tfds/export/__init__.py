# SPDX-License-Identifier: Apache-2.0
"""Writes subsets in the forms that other tools read."""
