# SPDX-License-Identifier: Apache-2.0
"""Trains the small models that perdure runs: prepares token files, trains, fine-tunes, exports."""
