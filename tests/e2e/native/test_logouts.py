"""POST /v1/logouts, for auth back ends."""

import pytest

from tests.e2e.native.callers import APN, FCM, Native, app_token, problem_of


async def test_it_tells_how_many_it_ended(native: Native) -> None:
    """A logout answers the number of registrations that it ended, and is idempotent."""
    await native.register()
    for ended in (1, 0):
        answer = await native.call("POST", "/v1/logouts", json={"identity": "alice", "device_id": "phone"})
        assert (answer.status_code, answer.json()) == (200, {"ended": ended})


async def test_by_session(native: Native) -> None:
    """A session's logout ends what it registered, and only that."""
    await native.register(token=app_token("alice", sid="s1"))
    await native.register(token=app_token("alice", sid="s2"), binding_type="fcm", address=FCM, device_id="tablet")
    answer = await native.call("POST", "/v1/logouts", json={"identity": "alice", "session": "s1"})
    assert answer.json() == {"ended": 1}
    assert [b["binding_type"] for b in await native.bindings("alice")] == ["fcm"]
    assert (await native.register(token=app_token("alice", sid="s1"))).status_code == 409


@pytest.mark.parametrize("spelling", [APN, APN.upper()])
async def test_by_address_in_any_case(native: Native, spelling: str) -> None:
    """An address without a type is tried verbatim and with its hex digits folded."""
    await native.register()
    answer = await native.call("POST", "/v1/logouts", json={"identity": "alice", "address": spelling})
    assert answer.json() == {"ended": 1}


async def test_messaging_survives_unless_asked_for(native: Native) -> None:
    """SMS survives a logout of everything, unless `include_messaging` says otherwise."""
    await native.register(binding_type="sms", address="+15005550006", device_id=None)
    await native.register()
    answer = await native.call("POST", "/v1/logouts", json={"identity": "alice"})
    assert answer.json() == {"ended": 1}
    assert [b["binding_type"] for b in await native.bindings("alice")] == ["sms"]
    answer = await native.call("POST", "/v1/logouts", json={"identity": "alice", "include_messaging": True})
    assert answer.json() == {"ended": 1}


async def test_only_servers_may(native: Native) -> None:
    """An app logs itself out by DELETE; this route is 403 to it, and that one to servers."""
    answer = await native.call("POST", "/v1/logouts", token=app_token("alice"), json={"identity": "alice"})
    assert (answer.status_code, problem_of(answer)) == (403, "forbidden")
    assert (await native.call("DELETE", "/v1/registrations?device_id=phone")).status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "identity"),
        ({"identity": "alice", "device_id": "a", "session": "b"}, "device_id"),
        ({"identity": "alice", "device_id": ""}, "device_id"),
        ({"identity": "alice", "channels": []}, "channels"),
        ({"identity": "alice", "channels": ["sms"]}, "channels[0]"),
        ({"identity": "alice", "include_messaging": "yes"}, "include_messaging"),
        ({"identity": "alice", "device": "phone"}, "body"),
        ({"identity": "US" + "0" * 32}, "identity"),
    ],
)
async def test_bad_logouts_name_the_field(native: Native, body: dict[str, object], field: str) -> None:
    """A logout that is not understood ends nothing, and the answer names the field."""
    await native.register()
    answer = await native.call("POST", "/v1/logouts", json=body)
    assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")
    assert answer.json()["field"] == field
    assert len(await native.bindings("alice")) == 1
