from pathlib import Path
from typing import Any

import pytest

from service.settings import SettingsError, load
from tests.unit.settings.test_loading import LEAST, faults_of
from tests.unit.settings.test_services_file import ONE, THREE, TWO, load_file

USER, SECRET = "AC" + "5" * 32, "hush hush"
WITH_ACCOUNT = {**LEAST, "BINDERY_UPSTREAM_USER": USER, "BINDERY_UPSTREAM_SECRET": SECRET}


def in_file(tmp_path: Path, tables: str, **more: str) -> Any:
    environ = {"BINDERY_UPSTREAM_USER": USER, "BINDERY_UPSTREAM_SECRET": SECRET, **more}
    return load_file(tmp_path, f'[[service]]\nname = "shop"\nsid = "{ONE}"\nchat_sid = "{TWO}"\n{tables}', **environ)


def test_without_an_upstream_bindings_live_here() -> None:
    """Accounts and timeouts alone make no upstream."""
    (service,) = load(WITH_ACCOUNT).services
    assert (service.notify_upstream, service.chat_upstream) == (None, None)


def test_the_environment_gives_the_only_service_its_upstreams() -> None:
    """Each kind of binding has its own; the SIDs there are those here, if none are named."""
    (service,) = load(
        {
            **WITH_ACCOUNT,
            "BINDERY_NOTIFY_UPSTREAM_URL": "https://notify.example/",
            "BINDERY_CHAT_UPSTREAM_URL": "https://conversations.example",
            "BINDERY_CHAT_UPSTREAM_API": "conversations",
            "BINDERY_CHAT_UPSTREAM_SID": THREE,
            "BINDERY_CHAT_UPSTREAM_STRICT": "yes",
            "BINDERY_UPSTREAM_RATE": "12.5",
            "BINDERY_UPSTREAM_VANISHED": "recreate",
            "BINDERY_UPSTREAM_EMPTY_TTL": "12",
        }
    ).services
    notify, chat = service.notify_upstream, service.chat_upstream
    assert notify is not None
    assert chat is not None
    assert (notify.api, notify.url, notify.sid) == ("notify", "https://notify.example", service.sid)
    assert (notify.user, notify.secret, notify.rate, notify.vanished) == (USER, SECRET, 12.5, "recreate")
    assert (notify.connect_timeout, notify.timeout, notify.longest_request) == (3, 10, 60)
    assert (notify.listed_ttl, notify.empty_ttl) == (300, 12)
    assert (chat.api, chat.sid, chat.strict) == ("conversations", THREE, True)


def test_a_table_in_the_file_overrides_the_environment(tmp_path: Path) -> None:
    """What a table leaves out comes from the environment."""
    settings = in_file(
        tmp_path,
        f"""
        [service.notify_upstream]
        url = "http://127.0.0.1:9000"
        sid = "{THREE}"
        rate = 5
        timeout = 2.5
        connect_timeout = 1
        listed_ttl = 0
        [service.chat_upstream]
        url = "http://127.0.0.1:9001"
        strict = true
        user = "SK{"6" * 32}"
        """,
        BINDERY_UPSTREAM_LONGEST_REQUEST="30",
    )
    notify, chat = settings.services[0].notify_upstream, settings.services[0].chat_upstream
    assert (notify.sid, notify.user, notify.rate, notify.timeout, notify.longest_request) == (THREE, USER, 5, 2.5, 30)
    assert notify.listed_ttl == 0
    assert (chat.api, chat.sid, chat.user, chat.strict) == ("chat", TWO, "SK" + "6" * 32, True)


def test_the_secret_is_not_shown() -> None:
    """Neither by the upstream nor by the settings that hold it."""
    settings = load({**WITH_ACCOUNT, "BINDERY_NOTIFY_UPSTREAM_URL": "https://notify.example"})
    assert SECRET not in repr(settings)
    assert SECRET not in repr(settings.services[0])
    assert SECRET not in repr(settings.services[0].notify_upstream)


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"BINDERY_NOTIFY_UPSTREAM_URL": "notify.example"}, "BINDERY_NOTIFY_UPSTREAM_URL must be an http"),
        ({"BINDERY_CHAT_UPSTREAM_API": "v2"}, "BINDERY_CHAT_UPSTREAM_API must be one of: chat, conversations"),
        ({"BINDERY_CHAT_UPSTREAM_STRICT": "true"}, "BINDERY_CHAT_UPSTREAM_STRICT must be yes or no"),
        ({"BINDERY_UPSTREAM_USER": "me"}, "BINDERY_UPSTREAM_USER must be AC or SK"),
        ({"BINDERY_UPSTREAM_RATE": "0"}, "BINDERY_UPSTREAM_RATE must be a number from 0.1"),
        ({"BINDERY_UPSTREAM_TIMEOUT": "1"}, "BINDERY_UPSTREAM_TIMEOUT must not be shorter"),
        ({"BINDERY_UPSTREAM_LONGEST_REQUEST": "9"}, "BINDERY_UPSTREAM_LONGEST_REQUEST must not be shorter"),
    ],
)
def test_a_fault_in_the_environment_is_named(environ: dict[str, str], fault: str) -> None:
    """The variable and the rule, once, though two upstreams may share it."""
    with_upstreams = {
        **WITH_ACCOUNT,
        "BINDERY_NOTIFY_UPSTREAM_URL": "https://notify.example",
        "BINDERY_CHAT_UPSTREAM_URL": "https://chat.example",
        **environ,
    }
    (line,) = faults_of(with_upstreams)
    assert line.startswith(fault)


def test_an_upstream_needs_an_account() -> None:
    """Both parts of it, each named."""
    faults = faults_of({**LEAST, "BINDERY_NOTIFY_UPSTREAM_URL": "https://notify.example"})
    assert faults == (
        "BINDERY_UPSTREAM_USER must be set for an upstream",
        "BINDERY_UPSTREAM_SECRET must be set for an upstream",
    )


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ("notify_upstream = 3", "service 1: notify_upstream must be a table with the keys: url, sid"),
        ("[service.notify_upstream]\nrate = 5", "notify_upstream.url must be set"),
        ('[service.notify_upstream]\nurl = "x"', "notify_upstream.url must be an http"),
        ('[service.notify_upstream]\nurl = "https://x.y"\nstrict = true', "notify_upstream.strict is unknown"),
        ('[service.chat_upstream]\nurl = "https://x.y"\nstrict = "yes"', "chat_upstream.strict must be true or false"),
        ('[service.chat_upstream]\nurl = "https://x.y"\napi = "notify"', "chat_upstream.api must be one of"),
        ('[service.chat_upstream]\nurl = "https://x.y"\nrate = true', "chat_upstream.rate must be a number"),
        ('[service.chat_upstream]\nurl = "https://x.y"\nrate = "5"', "chat_upstream.rate must be a number"),
        ('[service.chat_upstream]\nurl = "https://x.y"\nconnections = 1.5', "connections must be a whole number"),
        ('[service.chat_upstream]\nurl = "https://x.y"\ntimeout = 0.01', "timeout must be a number of seconds"),
        ('[service.chat_upstream]\nurl = "https://x.y"\ntimeout = 1', "chat_upstream.timeout must not be shorter"),
        ('[service.chat_upstream]\nurl = "https://x.y"\nsecret = ""', "chat_upstream.secret must have at least 1"),
    ],
)
def test_a_fault_in_a_table_is_named_with_its_place(tmp_path: Path, tables: str, fault: str) -> None:
    """The Service's number, the table, the key and the rule."""
    with pytest.raises(SettingsError, match=fault):
        in_file(tmp_path, tables)


def test_an_account_has_one_rate(tmp_path: Path) -> None:
    """All Services draw from the same bucket, so that they cannot disagree about its size."""
    tables = """
        [service.notify_upstream]
        url = "https://x.y"
        rate = 5
        [service.chat_upstream]
        url = "https://x.y"
        rate = 6
    """
    with pytest.raises(SettingsError, match="rate must be the same for all of an account"):
        in_file(tmp_path, tables)


def test_two_services_cannot_share_one_upstream_service(tmp_path: Path) -> None:
    """Each would undo what the other does."""
    upstream = f'[service.notify_upstream]\nurl = "https://x.y"\nsid = "{TWO}"'
    with pytest.raises(SettingsError, match="service news: shop has the same Service at its upstream"):
        in_file(tmp_path, f'{upstream}\n[[service]]\nname = "news"\nsid = "{THREE}"\n{upstream}')


def test_the_only_services_upstreams_contradict_a_file(tmp_path: Path) -> None:
    """No setting is silently ignored."""
    with pytest.raises(SettingsError, match="BINDERY_NOTIFY_UPSTREAM_URL must not be set beside"):
        in_file(tmp_path, "", BINDERY_NOTIFY_UPSTREAM_URL="https://x.y")
