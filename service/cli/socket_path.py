"""Where the embedded Valkey's Unix socket lies."""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

_LONGEST = 100
"""A Unix socket's path fits 108 bytes on Linux and 104 on macOS, with its end mark."""


def choose(data_dir: Path) -> Path:
    """In `data_dir`, or under the temporary directory where that path is too long; always the same answer."""
    inside = data_dir / "valkey.sock"
    if len(os.fsencode(inside)) <= _LONGEST:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bindery-{os.getuid()}-{digest}" / "valkey.sock"


def prepare(socket: Path) -> None:
    """Make the socket's directory, for the owner only.

    Raises:
        PermissionError: it is there and belongs to someone else, or others may enter it.
    """
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    found = socket.parent.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o170077 != 0o040000:
        raise PermissionError(f"{socket.parent} must be a directory of your own that nobody else may enter")


def url(socket: Path) -> str:
    """The `unix://` URL of the socket."""
    return f"unix://{quote(str(socket))}"
