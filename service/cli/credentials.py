"""The credentials `bindery up` makes once and keeps in its data directory, readable by the owner only."""

import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

FILE = "credentials.env"


def ensure(data_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The credentials of `data_dir`, made now if they are not there; what `environ` sets outranks them.

    Raises:
        OSError: the file can be neither read nor written.
    """
    path = data_dir / FILE
    kept = read(data_dir)
    missing = {name: value for name, value in _generated().items() if name not in kept}
    if missing:
        # Written aside and renamed: a crash leaves the old file or the new one, never half a secret.
        aside = path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("# Made by `bindery up`, once. The store is tied to the secret key: keep this file.\n")
            file.writelines(f"{name}={value}\n" for name, value in {**kept, **missing}.items())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    path.chmod(0o600)
    return _with_environment({**kept, **missing}, environ)


def beside(data_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, completed from what `bindery up` keeps in `data_dir`, if anything."""
    return _with_environment(read(data_dir), environ)


def read(data_dir: Path) -> dict[str, str]:
    """The kept credentials; nothing if there are none.

    Raises:
        OSError: the file cannot be read.
    """
    path = data_dir / FILE
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "not a file in UTF-8", str(path)) from error
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _generated() -> dict[str, str]:
    return {
        "BINDERY_SECRET_KEY": secrets.token_hex(32),
        "BINDERY_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "BINDERY_AUTH_TOKEN": secrets.token_hex(16),
        "BINDERY_SERVICE_SID": f"IS{secrets.token_hex(16)}",
        "BINDERY_JWT_SECRET": secrets.token_hex(32),
    }


def _with_environment(kept: dict[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    if environ.get("BINDERY_SERVICES_FILE"):
        kept = {name: value for name, value in kept.items() if name != "BINDERY_SERVICE_SID"}
    return {**kept, **{name: value for name, value in environ.items() if value or name not in kept}}
