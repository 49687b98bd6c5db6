# SPDX-License-Identifier: Apache-2.0
"""What the user can put right."""


class UsageError(Exception):
    """Asked for something that cannot be; one sentence: what, where, what to do."""
