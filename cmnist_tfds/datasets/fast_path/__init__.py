# SPDX-License-Identifier: Apache-2.0
"""Writes shards by joining encoded images."""
