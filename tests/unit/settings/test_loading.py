from typing import Any

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


def test_the_least_environment_is_enough() -> None:
    """With only the required variables, everything else has its documented default."""
    settings = load(LEAST)
    assert (settings.host, settings.port, settings.redis_timeout) == ("127.0.0.1", 8080, 1.5)
    assert settings.queue_url == settings.redis_url
    assert settings.chat_service_sid == settings.service_sid
    (service,) = settings.services
    assert (service.sid, service.chat_sid, service.name) == (
        settings.service_sid,
        settings.service_sid,
        "default",
    )
    assert (service.protocol_versions["apn"], service.protocol_versions["sms"]) == ("3", None)
    assert (service.cap_policy, service.app_tags) == ("reject", ("*",))
    assert (settings.jwt_secrets, settings.auth_tokens) == (("j" * 32,), ("t" * 32,))


def test_every_fault_is_named_at_once() -> None:
    """One failed start tells everything there is to mend."""
    faults = faults_of({"BINDERY_PORT": "http", "BINDERY_LOG_LEVEL": "loud"})
    named = {fault.split()[0] for fault in faults}
    assert named == {*LEAST, "BINDERY_PORT", "BINDERY_LOG_LEVEL"}


def test_an_empty_variable_counts_as_not_set() -> None:
    """`BINDERY_PORT=` is the default port, as compose files have it."""
    assert load({**LEAST, "BINDERY_PORT": "", "BINDERY_JWT_SECRET_OLD": ""}).port == 8080


def test_an_unknown_variable_is_refused_with_the_nearest_known() -> None:
    """A misspelt setting is not silently without effect."""
    (fault,) = faults_of({**LEAST, "BINDERY_REDIS_ULR": "redis://x"})
    assert fault == "BINDERY_REDIS_ULR is unknown; the nearest is BINDERY_REDIS_URL"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BINDERY_SECRET_KEY", "hush-hush"),
        ("BINDERY_JWT_SECRET", "hush-hush"),
        ("BINDERY_AUTH_TOKEN", "hush"),
        ("BINDERY_API_KEYS", "SK12:hush-hush"),
        ("BINDERY_REDIS_URL", "mysql://user:hush-hush@db/0"),
        ("BINDERY_QUEUE_URL", "redis+cluster://:hush-hush@a,b"),
        ("BINDERY_PUBLIC_URL", "https://user:hush-hush@example.com"),
        ("BINDERY_PORT", "65536"),
        ("BINDERY_PORT", "-1"),
        ("BINDERY_HOST", "a host"),
        ("BINDERY_REDIS_TIMEOUT", "0"),
        ("BINDERY_REDIS_TIMEOUT", "nan"),
        ("BINDERY_SERVICE_SID", "AC" + "1" * 32),
        ("BINDERY_ACCOUNT_SID", "AC" + "1" * 31),
        ("BINDERY_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("BINDERY_TRUSTED_PROXIES", "10.0.0.0/8,,"),
        ("BINDERY_CAP_POLICY", "drop"),
        ("BINDERY_LOG_FORMAT", "xml"),
        ("BINDERY_JWT_MAX_TTL", "1e5"),
        ("BINDERY_APP_TAGS", "a,,b"),
        ("BINDERY_SERVICES_FILE", "~hush/services.toml"),
        ("BINDERY_SECRETS_DIR", "~hush/secrets"),
    ],
)
def test_a_bad_value_is_named_by_its_variable_and_never_repeated(name: str, value: str) -> None:
    """A fault says which variable breaks which rule; the value, which may be a secret, stays out of it."""
    (fault,) = faults_of({**LEAST, name: value})
    assert fault.startswith(f"{name} must ")
    assert "hush" not in fault


def test_no_secret_shows_in_a_repr() -> None:
    """A Settings or ApiKey that lands in a log or traceback gives nothing away."""
    secrets: dict[str, Any] = {
        "BINDERY_REDIS_URL": "redis://:s3cr3t-redis@h:1/0",
        "BINDERY_SECRET_KEY": "s3cr3t-key" * 4,
        "BINDERY_AUTH_TOKEN": "s3cr3t-token",
        "BINDERY_AUTH_TOKEN_OLD": "s3cr3t-token-old",
        "BINDERY_JWT_SECRET": "s3cr3t-jwt" * 4,
        "BINDERY_JWT_SECRET_OLD": "s3cr3t-jwt-old" * 4,
        "BINDERY_API_KEYS": f"SK{'a' * 32}:s3cr3t-api,SK{'b' * 32}:s3cr3t-api",
    }
    settings = load({**LEAST, **secrets})
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in repr(settings.__rich_repr__())
    assert "s3cr3t" not in repr(settings.api_keys)
    assert [key.secret for key in settings.api_keys] == ["s3cr3t-api", "s3cr3t-api"]


def test_rotating_secrets_come_new_first() -> None:
    """Both values are accepted while callers change over; what Bindery signs, it signs with the new one."""
    settings = load({**LEAST, "BINDERY_JWT_SECRET_OLD": "o" * 32, "BINDERY_AUTH_TOKEN_OLD": "o" * 32})
    assert settings.jwt_secrets == ("j" * 32, "o" * 32)
    assert settings.auth_tokens == ("t" * 32, "o" * 32)


def test_a_frozen_settings_cannot_change() -> None:
    """What was checked is what is used."""
    settings = load(LEAST)
    with pytest.raises(AttributeError):
        setattr(settings, "port", 1)  # noqa: B010  # an assignment would not pass mypy
