"""What `bindery up` keeps, credentials and data, and where."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.up.conftest import PATIENCE, Up, shell


def test_a_second_start_keeps_credentials_and_data(up: Up, data_dir: Path) -> None:
    """What was registered before the stop is there after it, under the same account."""
    url = up.url()
    kept = (data_dir / "credentials.env").read_text()
    register, look_up, _ = up.commands()
    shell(register)
    assert up.stop() == 0
    with Up(data_dir) as again:
        look_up = look_up.replace(url, again.url())
        assert "alices-phone" in shell(look_up)
        assert (data_dir / "credentials.env").read_text() == kept


def test_secrets_in_files_are_the_ones_that_count(data_dir: Path, tmp_path: Path) -> None:
    """Credentials of its own are made for what is left open alone; so it is for commands beside it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "BINDERY_AUTH_TOKEN").write_text("the token of the file, which is long enough\n")
    with Up(data_dir, BINDERY_SECRETS_DIR=str(tmp_path / "secrets")) as up:
        up.url()
        assert "the token of the file" in "".join(up.printed)
    (tmp_path / "secrets" / "BINDERY_REDIS_URL").write_text("redis://127.0.0.1:1/0")
    bindery = [sys.executable, "-m", "service.cli", "check"]
    environ = {**up.environ, "BINDERY_REDIS_TIMEOUT": "0.2"}
    done = subprocess.run(bindery, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "fault" in done.stdout.lower() + done.stderr.lower()


def test_a_data_directory_with_a_long_path_works(tmp_path: Path) -> None:
    """A Unix socket's path is short by nature; the data's need not be."""
    with Up(tmp_path / ("long" * 30)) as running:
        running.url()


def test_a_data_directory_may_be_a_link(tmp_path: Path) -> None:
    """`ln -s /mnt/disk/bindery .bindery`: data that were moved to another disk; it is private there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Up(tmp_path / "link") as running:
        running.url()
        assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700
