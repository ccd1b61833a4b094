# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a split by joining encoded images."""
