# SPDX-License-Identifier: Apache-2.0
"""The collection `cmnist_all`."""
