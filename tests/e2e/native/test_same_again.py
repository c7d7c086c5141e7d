"""What is sent again, with the next request or within one: nothing is new but that its app was here."""

from datetime import UTC, datetime, timedelta

from tests.e2e.native.callers import APN, Native
from tests.integration.store.desk import Desk


async def test_the_same_again_is_unchanged(native: Native) -> None:
    """Once applied, the same registration is 200; while pending it is 202 with the same version."""
    first = await native.register()
    pending = await native.register()
    assert (pending.status_code, pending.json()["version"]) == (202, first.json()["version"])
    await native.drain()
    again = await native.register()
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_it_tells_when_its_app_was_last_here(native: Native) -> None:
    """By the clock; the same again moves it on, at most hourly, though nothing else is new."""

    async def seen() -> datetime:
        [binding] = await native.bindings("alice")
        return datetime.fromisoformat(binding["last_seen_at"])

    began = datetime.now(UTC).replace(microsecond=0)
    await native.register()
    await native.drain()
    first = await seen()
    assert began <= first <= datetime.now(UTC)
    desk = Desk(native.service.section.redis, sid=native.service.sid)
    desk.section = native.service.section
    await desk.age(APN, 7200)
    assert await seen() == first - timedelta(hours=2)
    again = await native.register()
    assert again.status_code == 200
    assert datetime.fromisoformat(again.json()["last_seen_at"]) == await seen() >= first
    assert datetime.fromisoformat(again.json()["created_at"]) <= first


async def test_what_a_request_says_twice_counts_once(native: Native) -> None:
    """Tags, channels and message types are sets, in the order in which each was named first."""
    twice = {"endpoint": "e", "message_types": ["b", "a", "b"]}
    channels = ["notify", "notify"]
    answer = await native.register(tags=["b", "a", "b"], channels=channels)
    assert (answer.status_code, answer.json()["tags"], answer.json()["channels"]) == (202, ["b", "a"], ["notify"])
    once = await native.register(tags=["b", "a"])
    assert once.json()["version"] == answer.json()["version"]
    answer = await native.register(channels=["chat", "chat"], chat=twice)
    assert answer.json()["channels"] == ["chat"]
    assert answer.json()["chat"]["message_types"] == ["b", "a"]
