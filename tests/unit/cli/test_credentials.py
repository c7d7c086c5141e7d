from pathlib import Path

import pytest

from service.cli import credentials, local
from service.settings import load


def test_they_are_made_once_and_good(tmp_path: Path) -> None:
    """The generated values pass the settings' own rules, and a second start finds the same ones."""
    made = credentials.ensure(tmp_path, {})
    load({**made, "BINDERY_REDIS_URL": "redis://x"})
    assert credentials.ensure(tmp_path, {}) == made
    assert (tmp_path / credentials.FILE).stat().st_mode & 0o777 == 0o600


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    """Every value is drawn anew."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (credentials.ensure(tmp_path / name, {}) for name in "ab")
    assert all(one[name] != two[name] for name in one)


def test_the_environment_outranks_the_file_and_is_not_written(tmp_path: Path) -> None:
    """A secret that the environment holds stays there; an empty variable is none."""
    made = credentials.ensure(tmp_path, {"BINDERY_AUTH_TOKEN": "from outside", "BINDERY_JWT_SECRET": ""})
    assert made["BINDERY_AUTH_TOKEN"] == "from outside"
    assert len(made["BINDERY_JWT_SECRET"]) == 64
    assert "from outside" not in (tmp_path / credentials.FILE).read_text()


def test_a_file_of_an_older_version_is_completed(tmp_path: Path) -> None:
    """What is there is kept; what is missing is added."""
    (tmp_path / credentials.FILE).write_text("BINDERY_SECRET_KEY=kept\n")
    assert credentials.ensure(tmp_path, {})["BINDERY_SECRET_KEY"] == "kept"
    assert set(credentials.read(tmp_path)) >= {"BINDERY_SECRET_KEY", "BINDERY_JWT_SECRET"}


def test_a_services_file_takes_the_place_of_the_generated_service(tmp_path: Path) -> None:
    """`bindery up` with a Services file does not contradict itself."""
    assert "BINDERY_SERVICE_SID" not in credentials.ensure(tmp_path, {"BINDERY_SERVICES_FILE": "services.toml"})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """As one that cannot be read, whatever is wrong with it."""
    (tmp_path / credentials.FILE).write_bytes(b"BINDERY_SECRET_KEY=\xff")
    with pytest.raises(OSError, match="not a file in UTF-8"):
        credentials.read(tmp_path)


def test_the_data_directory_may_be_told_of_as_a_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a file of its name."""
    monkeypatch.delenv("BINDERY_DATA_DIR", raising=False)
    monkeypatch.setenv("BINDERY_SECRETS_DIR", str(tmp_path))
    (tmp_path / "BINDERY_DATA_DIR").write_text(f"{tmp_path / 'data'}\n")
    assert local.data_dir() == (tmp_path / "data").resolve()
