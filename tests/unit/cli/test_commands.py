import os
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from service import __version__
from service.cli import COMMANDS, main
from service.settings.readme_table import markdown
from tests.unit.settings.test_loading import LEAST


def run(*arguments: str, environ: Mapping[str, str]) -> Result:
    cleared = {name: None for name in os.environ if name.startswith("BINDERY_")}
    return CliRunner().invoke(main, list(arguments), env={**cleared, **environ}, terminal_width=80)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The least environment, away from any data of a developer's own."""
    return {**LEAST, "BINDERY_DATA_DIR": str(tmp_path)}


def test_help_says_what_each_command_does_in_whole_words() -> None:
    """Nothing is cut off at the width of a terminal."""
    assert "..." not in run("--help", environ={}).output.partition("Commands:")[2]


@pytest.mark.parametrize("identity", ["", "i" * 257])
def test_a_token_of_an_impossible_identity_is_refused(identity: str, environ: dict[str, str]) -> None:
    """It would be of no use, and the API's answer would not say why."""
    refused = run("token", "--identity", identity, environ=environ)
    assert refused.exit_code == 2
    assert "--identity" in refused.output


@pytest.mark.parametrize("words", [("cutover", "shop", "--settle"), ("diff", "--settle"), ("import", "--rate")])
@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
def test_numbers_are_ones_to_count_with(words: tuple[str, ...], number: str, environ: dict[str, str]) -> None:
    """Who waits for as long as `nan` waits for ever."""
    refused = run(*words, number, environ=environ)
    assert refused.exit_code == 2
    assert words[-1] in refused.output


def test_a_token_needs_no_files_of_the_stores(environ: dict[str, str]) -> None:
    """It is made where the store's certificates are not; who connects is told that they are missing."""
    there = {**environ, "BINDERY_REDIS_URL": "rediss://h?ssl_ca_certs=/nowhere/ca.crt"}
    assert run("token", "--identity", "alice", environ=there).exit_code == 0
    assert run("dead", "list", environ=there).exit_code == 2


def test_help_lists_every_command() -> None:
    """What there is can be found without the documentation."""
    listed = run("--help", environ={}).output
    assert all(f"\n  {name}" in listed for name in COMMANDS)


def test_the_version_is_the_packages() -> None:
    """One version, in one place."""
    assert run("--version", environ={}).output == f"bindery, version {__version__}\n"


def test_settings_prints_the_readme_table() -> None:
    """The README's table can be had without the repository."""
    assert run("settings", "--markdown", environ={}).output == markdown()


def test_a_token_has_the_claims_of_its_service(environ: dict[str, str]) -> None:
    """Signed with the new secret; `iss` and `aud` as the Service asks, `sid` as given."""
    environ |= {
        "BINDERY_JWT_ISSUER": "https://login",
        "BINDERY_JWT_AUDIENCE": "app",
        "BINDERY_JWT_SECRET_OLD": "o" * 32,
    }
    token = run("token", "--identity", "alice", "--sid", "s1", "--ttl", "60", environ=environ).output.strip()
    claims = jwt.decode(token, "j" * 32, algorithms=["HS256"], audience="app", issuer="https://login")
    assert (claims["sub"], claims["sid"], claims["exp"] - claims["iat"]) == ("alice", "s1", 60)


def test_a_token_leaves_out_what_is_not_set(environ: dict[str, str]) -> None:
    """No null claims: a verifier would trip over them."""
    token = run("token", "--identity", "alice", environ=environ).output.strip()
    assert set(jwt.decode(token, "j" * 32, algorithms=["HS256"])) == {"sub", "iat", "exp"}


def test_a_token_longer_than_the_service_takes_is_not_made(environ: dict[str, str]) -> None:
    """The command says so, instead of the API's 401 later."""
    result = run("token", "--identity", "alice", "--ttl", "90000", environ=environ)
    assert result.exit_code == 2
    assert "BINDERY_JWT_MAX_TTL" in result.output


def test_an_unknown_service_is_refused_with_the_known_ones(environ: dict[str, str]) -> None:
    """A typing error is told from a missing configuration."""
    result = run("token", "--identity", "alice", "--service", "shop", environ=environ)
    assert result.exit_code == 2
    assert "there are: default" in result.output


@pytest.mark.parametrize("command", ["api", "check", "up"])
def test_bad_settings_end_a_start_with_all_faults(command: str, environ: dict[str, str]) -> None:
    """Status 2 and a line each, no traceback."""
    bad = {**environ, "BINDERY_ACCOUNT_SID": "AC1", "BINDERY_LOG_LEVEL": "loud"}
    result = run(command, environ=bad)
    assert result.exit_code == 2
    assert "BINDERY_ACCOUNT_SID must be AC" in result.output
    assert "BINDERY_LOG_LEVEL must be one of" in result.output


@pytest.mark.parametrize("command", ["check", "up"])
def test_a_data_directory_in_no_home_is_one_clear_line(command: str, environ: dict[str, str]) -> None:
    """It names the setting."""
    result = run(command, environ={**environ, "BINDERY_DATA_DIR": "~nobody-of-this-name/data"})
    assert result.exit_code == 2
    assert result.output == "Error: BINDERY_DATA_DIR must not begin with ~ where there is no such home directory\n"


def test_the_embedded_store_has_no_replicas_to_wait_for(environ: dict[str, str]) -> None:
    """Otherwise all would be answered 503, for ever."""
    alone = {name: value for name, value in environ.items() if name != "BINDERY_REDIS_URL"}
    result = run("up", environ={**alone, "BINDERY_REDIS_REPLICAS": "1"})
    assert result.exit_code == 2
    assert "the embedded Valkey has no replicas" in result.output


def test_check_names_a_store_that_is_not_there(environ: dict[str, str], tmp_path: Path) -> None:
    """One clear line with status 1; the URL, which may hold a password, is not in it."""
    result = run("check", environ={**environ, "BINDERY_REDIS_URL": f"unix://:s3cret@{tmp_path}/none.sock"})
    assert result.exit_code == 1
    assert "FAULT  store: cannot be used (ConnectionError)" in result.output
    assert "s3cret" not in result.output
