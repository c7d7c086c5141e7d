"""Secrets as files, as container platforms hand them over."""

from pathlib import Path

import pytest

from service.settings import SettingsError, load

LEAST = {
    "BINDERY_REDIS_URL": "redis://127.0.0.1:6379/0",
    "BINDERY_SECRET_KEY": "k" * 32,
    "BINDERY_ACCOUNT_SID": "AC" + "0" * 32,
    "BINDERY_AUTH_TOKEN": "t" * 32,
    "BINDERY_SERVICE_SID": "IS" + "1" * 32,
    "BINDERY_JWT_SECRET": "j" * 32,
}


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.faults


def test_every_variable_may_be_a_file(tmp_path: Path) -> None:
    """With nothing but the directory in the environment, its files are the settings, without their last line break."""
    for name, value in LEAST.items():
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "VALKEY_PASSWORD").write_text("of others")
    settings = load({"BINDERY_SECRETS_DIR": str(tmp_path)})
    assert settings == load({**LEAST, "BINDERY_SECRETS_DIR": str(tmp_path)})
    assert settings.secret_key == "k" * 32


def test_a_variable_goes_before_its_file(tmp_path: Path) -> None:
    """What the environment sets counts; what it leaves empty comes from the file."""
    (tmp_path / "BINDERY_AUTH_TOKEN").write_text("from the file")
    (tmp_path / "BINDERY_JWT_SECRET").write_text("f" * 32)
    given = {**LEAST, "BINDERY_SECRETS_DIR": str(tmp_path), "BINDERY_JWT_SECRET": ""}
    settings = load(given)
    assert (settings.auth_token, settings.jwt_secret) == ("t" * 32, "f" * 32)


def test_a_misspelt_file_is_refused(tmp_path: Path) -> None:
    """A file that would be without effect is named, with the nearest variable."""
    (tmp_path / "BINDERY_AUTH_TOKN").write_text("t" * 32)
    (fault,) = faults_of({**LEAST, "BINDERY_SECRETS_DIR": str(tmp_path)})
    assert fault == "BINDERY_AUTH_TOKN is unknown; the nearest is BINDERY_AUTH_TOKEN"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A directory that is not there, and files that are not text, are faults; no fault repeats a value."""
    (fault,) = faults_of({**LEAST, "BINDERY_SECRETS_DIR": str(tmp_path / "none")})
    assert fault == "BINDERY_SECRETS_DIR must be a readable directory (FileNotFoundError)"
    (tmp_path / "BINDERY_AUTH_TOKEN_OLD").write_bytes(b"\xff\xfe secret")
    (tmp_path / "BINDERY_API_KEYS").mkdir()
    assert sorted(faults_of({**LEAST, "BINDERY_SECRETS_DIR": str(tmp_path)})) == [
        "BINDERY_SECRETS_DIR: BINDERY_API_KEYS must be a readable file in UTF-8 (IsADirectoryError)",
        "BINDERY_SECRETS_DIR: BINDERY_AUTH_TOKEN_OLD must be a readable file in UTF-8 (UnicodeDecodeError)",
    ]


def test_the_directory_may_be_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every other path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in LEAST.items():
        (tmp_path / name).write_text(value)
    assert load({"BINDERY_SECRETS_DIR": "~"}).secret_key == "k" * 32


@pytest.mark.parametrize(("length", "refused"), [(64 * 1024, False), (64 * 1024 + 1, True)])
def test_a_line_break_at_the_end_does_not_count(tmp_path: Path, length: int, refused: bool) -> None:
    """A value has as many characters as it may, and its file a line break more."""
    (tmp_path / "BINDERY_SECRET_KEY").write_bytes(b"k" * length + b"\r\n")
    faults = faults_of(
        {**LEAST, "BINDERY_SECRET_KEY": "", "BINDERY_SERVICE_SID": "x", "BINDERY_SECRETS_DIR": str(tmp_path)}
    )
    assert any("BINDERY_SECRET_KEY must have at most" in fault for fault in faults) is refused
