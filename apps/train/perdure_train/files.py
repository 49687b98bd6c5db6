# SPDX-License-Identifier: Apache-2.0
"""Files that are complete or not there. A program that has the old file open or mapped keeps it as it was."""

import os
import pathlib
import tempfile


def _permissions() -> int:
    """What a file that open() makes would have."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_atomically(path: pathlib.Path, write) -> None:
    """`write(file)` into a file beside it that then takes its place: after a crash the old or the new one is there."""
    handle, beside = tempfile.mkstemp(prefix=path.name + ".", suffix=".new", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), _permissions())
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
