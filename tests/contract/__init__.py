# SPDX-License-Identifier: Apache-2.0
"""What users are promised, tried through public behavior alone.

These tests hold through any change inside of the package: they call commands
and public functions, and know nothing of modules, of the files of the cache or
of the exact words of messages.
"""
