"""POST, GET and DELETE /v1/registrations."""

import asyncio

import pytest

from service.usecases.waiting import WaitingRoom
from tests.e2e.compatible.deployment import serving, settings_of
from tests.e2e.native.callers import APN, FCM, FID, Native, app_token, problem_of
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually


async def test_an_app_registers_itself(native: Native) -> None:
    """An app registers for the identity of its token: 202, a Location, and the registration, pending."""
    answer = await native.register(token=app_token("alice", sid="s1"), tags=["ios"])
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/v1/registrations/{body['id']}"
    assert (body["state"], body["identity"], body["tags"]) == ("pending", "alice", ["ios"])
    assert body["bindings"] == {"notify": None, "chat": None}
    assert body["notification_protocol_version"] == "3"
    assert [b["id"] for b in await native.bindings("alice")] == [body["id"]]


async def test_the_location_tells_when_it_is_applied(native: Native) -> None:
    """The registration's resource is pending, then applied, with its binding's SID."""
    location = (await native.register()).headers["location"]
    assert (await native.call("GET", location)).json()["state"] == "pending"
    await native.drain()
    applied = (await native.call("GET", location)).json()
    assert applied["state"] == "applied"
    assert applied["bindings"]["notify"].startswith("BS")


async def test_prefer_wait(native: Native) -> None:
    """With `Prefer: wait=N` the answer comes once it is applied: 201, and 200 if nothing was new."""
    waiting = asyncio.create_task(native.register(headers={"Prefer": "respond-async, wait=5"}))
    while not waiting.done():
        await native.drain()
        await asyncio.sleep(0)
    answer = waiting.result()
    assert (answer.status_code, answer.json()["state"]) == (201, "applied")
    assert answer.headers["preference-applied"] == "wait=5"
    assert (await native.register(headers={"Prefer": "wait=5"})).status_code == 200


async def test_preferences_may_come_in_several_headers(native: Native) -> None:
    """RFC 7240: several Prefer headers are one list, and of a repeated preference the first counts."""
    headers = [("Prefer", "return=minimal"), ("Prefer", "wait=0, wait=5"), ("Prefer", "wait=7")]
    answer = await native.register(headers=headers)
    assert answer.headers["preference-applied"] == "wait=0"


@pytest.mark.parametrize("prefer", ["wait=11", "wait=-1", "wait=soon", "wait", "wait=99999999999999", "wait=1.5"])
async def test_a_preference_that_cannot_be_honoured_is_ignored(native: Native, prefer: str) -> None:
    """RFC 7240: a preference is no demand."""
    answer = await native.register(headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_a_wait_that_is_not_fulfilled_is_202(native: Native) -> None:
    """When the time is up the answer is what it would have been without waiting."""
    answer = await native.register(headers={"Prefer": "wait=0"})
    assert answer.status_code == 202


@pytest.mark.parametrize(("drained", "state"), [(False, "superseded"), (False, "removed"), (True, "removed")])
async def test_what_is_over_before_the_wait_says_so(native: Native, drained: bool, state: str) -> None:
    """Superseded or removed meanwhile: 202 at once, with the state of the registration that was accepted."""
    waiting = asyncio.create_task(native.register(headers={"Prefer": "wait=10"}))
    await eventually(lambda: native.bindings("alice"))
    if state == "superseded":
        await native.register(identity="bob")
    else:
        await native.call("POST", "/v1/logouts", json={"identity": "alice"})
    if drained:
        await native.drain()
    async with asyncio.timeout(5):
        answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (202, state)
    assert answer.headers["location"] == f"/v1/registrations/{answer.json()['id']}"
    assert "address" not in answer.json()


async def test_a_store_that_goes_away_meanwhile_unsays_nothing(native: Native, valkey: ValkeyServer) -> None:
    """The registration is accepted: 202, not 503."""
    waiting = asyncio.create_task(native.register(headers={"Prefer": "wait=3"}))
    await eventually(lambda: native.bindings("alice"))
    valkey.pause()
    try:
        answer = await waiting
    finally:
        valkey.resume()
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    assert answer.headers["preference-applied"] == "wait=3"


async def test_only_so_many_wait_at_a_time(native: Native, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes when the seats are taken is answered at once, as if no preference had been stated."""
    monkeypatch.setattr(native.app.state, "waiting_room", WaitingRoom(seats=1))
    first = asyncio.create_task(native.register(headers={"Prefer": "wait=5"}))
    await eventually(lambda: native.bindings("alice"))
    async with asyncio.timeout(2):
        second = await native.register(identity="bob", address="b" * 64, device_id="b", headers={"Prefer": "wait=5"})
    assert second.status_code == 202
    assert "preference-applied" not in second.headers
    await native.drain()
    assert (await first).status_code == 201
    third = await native.register(identity="bob", address="b" * 64, device_id="b", headers={"Prefer": "wait=5"})
    assert third.status_code == 200


async def test_an_older_generation_is_superseded(native: Native) -> None:
    """The id of an earlier registration of the address says that it was superseded."""
    first = (await native.register()).headers["location"]
    await native.register(tags=["new"])
    assert (await native.call("GET", first)).json()["state"] == "superseded"


async def test_removed_until_applied_and_then_gone(native: Native) -> None:
    """A removed registration says so until its removal is applied, and is 404 from then on."""
    token = app_token("alice")
    location = (await native.register(token=token)).headers["location"]
    assert (await native.call("DELETE", "/v1/registrations?device_id=phone", token=token)).status_code == 204
    assert (await native.call("GET", location, token=token)).json()["state"] == "removed"
    await native.drain()
    answer = await native.call("GET", location, token=token)
    assert (answer.status_code, problem_of(answer)) == (404, "not-found")


async def test_an_app_sees_only_its_own(native: Native) -> None:
    """Another identity's registration is 404 to an app, and deleting it changes nothing."""
    location = (await native.register(identity="bob")).headers["location"]
    mallory = app_token("mallory")
    assert (await native.call("GET", location, token=mallory)).status_code == 404
    assert (await native.call("DELETE", location, token=mallory)).status_code == 204
    assert len(await native.bindings("bob")) == 1


@pytest.mark.parametrize("id_", ["x", "0" * 38, "f" * 38, "../..", "%00"])
async def test_an_id_that_was_never_given_out(native: Native, id_: str) -> None:
    """Made-up ids are 404 to read, and nothing to delete."""
    assert (await native.call("GET", f"/v1/registrations/{id_}")).status_code == 404


async def test_push_off_is_no_logout(native: Native) -> None:
    """Turning push off removes the registration and lets the same token register again."""
    token = app_token("alice", sid="s1")
    location = (await native.register(token=token)).headers["location"]
    for _ in range(2):
        assert (await native.call("DELETE", location, token=token)).status_code == 204
    assert await native.bindings("alice") == []
    assert (await native.register(token=token)).status_code == 202


async def test_a_report_that_an_address_is_dead_counts_unless_its_device_came_back(native: Native) -> None:
    """The sender names when it was told so; what has registered since, or within the hour, stays."""
    location = (await native.register()).headers["location"]
    told = {"unless_seen_since": "2026-01-31T12:00:00Z"}
    answer = await native.call("DELETE", location, params=told)
    assert (answer.status_code, problem_of(answer)) == (412, "seen-since")
    assert len(await native.bindings("alice")) == 1
    assert (
        await native.call("DELETE", location, params={"unless_seen_since": "2026-01-31t12:00:00.25z"})
    ).status_code == 412
    for wrong in ("yesterday", "2026-01-31T12:00:00", "1769860800"):
        answer = await native.call("DELETE", location, params={"unless_seen_since": wrong})
        assert (answer.status_code, answer.json()["field"]) == (400, "unless_seen_since")
    assert (
        await native.call("DELETE", location, params={"unless_seen_since": "2999-01-01T00:00:00Z"})
    ).status_code == 204
    assert await native.bindings("alice") == []


async def test_a_logout_is_final_for_its_token(native: Native) -> None:
    """After the app's logout its token is refused with a problem of its own; a new session's is not."""
    token = app_token("alice", sid="s1")
    await native.register(token=token)
    await native.call("DELETE", "/v1/registrations", token=token, params={"device_id": "phone"})
    late = await native.register(token=token)
    assert (late.status_code, problem_of(late)) == (409, "session-ended")
    assert (await native.register(token=app_token("alice", sid="s2"))).status_code == 202


async def test_over_the_cap(native: Native) -> None:
    """The 21st address is 409 with another problem type than a fence's."""
    for n in range(20):
        assert (await native.register(address=f"{n:064x}", device_id=f"d{n}")).status_code == 202
    answer = await native.register(address="f" * 64, device_id="d20")
    assert (answer.status_code, problem_of(answer)) == (409, "cap-reached")


async def test_canonical_addresses(native: Native) -> None:
    """APNs hex is folded and bared of decoration; FCM tokens and installation ids are kept as they are."""
    spelled = await native.register(address=f"<{'AB' * 16} {'CD' * 16}>")
    assert spelled.json()["address"] == "ab" * 16 + "cd" * 16
    for address in (FCM, FID):
        answer = await native.register(address=address, binding_type="fcm", device_id=None)
        assert answer.json()["address"] == address


async def test_servers_register_messaging_and_apps_do_not(native: Native) -> None:
    """SMS, Messenger and Alexa are for servers."""
    sms = {"binding_type": "sms", "address": "+15005550006", "device_id": None}
    assert (await native.register(**sms)).status_code == 202
    answer = await native.register(token=app_token("alice"), **sms)
    assert (answer.status_code, problem_of(answer)) == (403, "forbidden")


async def test_an_app_cannot_speak_for_others(native: Native) -> None:
    """Another identity or session than the token's is 403."""
    token = app_token("alice", sid="s1")
    assert (await native.register(token=token, identity="bob")).status_code == 403
    assert (await native.register(token=token, session="s2")).status_code == 403
    assert (await native.register(token=token, identity="alice", session="s1")).status_code == 202


async def test_chat_gets_an_endpoint_of_its_own(native: Native) -> None:
    """The chat channel's endpoint defaults to one that does not give the device id away."""
    body = (await native.register(channels=["notify", "chat"])).json()
    assert "phone" not in body["chat"]["endpoint"]
    await native.drain()
    [binding] = await native.bindings("alice")
    assert binding["bindings"]["chat"].startswith("BS")
    assert binding["state"] == "applied"
    named = await native.register(channels=["chat"], chat={"endpoint": "e1", "message_types": ["new_message"]})
    assert named.json()["chat"] == {"endpoint": "e1", "message_types": ["new_message"]}


async def test_services_are_worlds_apart(native: Native) -> None:
    """The same address may belong to different identities in different Services, named by SID or name."""
    await native.register()
    other = await native.register(service="other", identity="bob")
    assert other.json()["notification_protocol_version"] == "2"
    assert other.headers["location"].endswith(f"?service={other.json()['service_sid']}")
    assert (await native.call("GET", other.headers["location"])).json()["identity"] == "bob"
    assert [b["address"] for b in await native.bindings("alice")] == [APN]
    assert [b["address"] for b in await native.bindings("bob", service="other")] == [APN]
    assert await native.bindings("bob") == []
    answer = await native.register(service="nowhere")
    assert (answer.status_code, problem_of(answer)) == (404, "not-found")


@pytest.mark.parametrize(
    "settings", [{"BINDERY_PUBLIC_URL": "https://example.org/push/"}, {"BINDERY_TRUSTED_PROXIES": "127.0.0.0/8"}]
)
async def test_where_to_look_is_under_the_servers_prefix(environ: dict[str, str], settings: dict[str, str]) -> None:
    """That of the public URL, or of a trusted proxy; a stranger's is ignored."""
    forwarded = {"X-Forwarded-Prefix": "/push"}
    async with serving(settings_of(environ, **settings), peer="127.0.0.1") as api:
        answer = await Native(api).register(headers=forwarded)
        assert answer.headers["location"] == f"/push/v1/registrations/{answer.json()['id']}"
    async with serving(settings_of(environ), peer="127.0.0.1") as api:
        answer = await Native(api).register(headers=forwarded)
        assert answer.headers["location"] == f"/v1/registrations/{answer.json()['id']}"
