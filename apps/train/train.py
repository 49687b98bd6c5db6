#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""train.py prepare|train|finetune|export|evaluate|convert-rwkv|convert-rmt: see README.md beside this file."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from perdure_train.command_line import main  # noqa: E402

sys.exit(main())
