# SPDX-License-Identifier: Apache-2.0
"""What the system offers: files, folders, locks, terminals, and our errors."""
