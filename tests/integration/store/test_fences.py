"""Contract 6: a dead session stays dead."""

import pytest

from service.domain.errors import SessionEnded, Unauthenticated
from service.domain.limits import CLOCK_LEEWAY
from service.domain.record import Channel
from service.redis import Redis, Script
from service.store.scripts import script
from service.store.section import Section
from tests.integration.store.desk import BOTH, CHAT, NOTIFY, TOKEN_SECONDS, Desk


async def test_a_late_registration_of_a_logged_out_device_is_refused(desk: Desk) -> None:
    """A registration that was under way when its device logged out is refused, though there was nothing to remove."""
    iat = await desk.now() - 5
    assert await desk.logout("alice", device="phone") == 0
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", iat=iat)
    assert await desk.desired("alice") == set()


async def test_a_token_issued_after_the_logout_registers(desk: Desk) -> None:
    """The next login is welcome."""
    await desk.logout("alice", device="phone")
    await desk.login("alice", "token", "phone", iat=await desk.now() + 1)
    assert await desk.desired("alice") == {"token"}


async def test_other_devices_are_not_fenced(desk: Desk) -> None:
    """A device's logout fences that device alone."""
    iat = await desk.now() - 5
    await desk.logout("alice", device="phone")
    await desk.login("alice", "token", "tablet", iat=iat)
    await desk.login("bob", "other", "phone", iat=iat)


@pytest.mark.parametrize("iat_offset", [-5, 0, 30])
async def test_a_logged_out_session_is_dead_whatever_its_clock_says(desk: Desk, iat_offset: int) -> None:
    """A session's fence is exact: it does not depend on iat."""
    await desk.logout("alice", session="s1")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", session="s1", iat=await desk.now() + iat_offset)


async def test_a_session_logout_fences_the_session_only(desk: Desk) -> None:
    """Another session registers, even with a token issued before; a server naming the dead session is refused."""
    iat = await desk.now() - 5
    await desk.logout("alice", session="s1")
    await desk.login("alice", "token", "phone", session="s2", iat=iat)
    await desk.login("alice", "token", "phone", iat=iat)
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", session="s1")


async def test_servers_are_not_fenced_by_devices(desk: Desk) -> None:
    """A server that names no session acts on its own authority."""
    await desk.logout("alice", device="phone")
    await desk.login("alice", "token", "phone")
    assert await desk.desired("alice") == {"token"}


async def in_one_second(desk: Desk) -> int:
    """The current second, with most of it left."""
    second, micros = await desk.time()
    while micros > 300_000:
        second, micros = await desk.time()
    return second


async def test_in_the_second_of_the_logout_the_session_decides(desk: Desk) -> None:
    """Of tokens issued in the very second of the logout, those of another session than the one ended are good."""
    second = await in_one_second(desk)
    await desk.logout("alice", device="phone", own_session="s1")
    for session in ("s1", None):
        with pytest.raises(SessionEnded):
            await desk.login("alice", "token", "phone", session=session, iat=second)
    await desk.login("alice", "token", "phone", session="s2", iat=second)


async def test_without_a_known_session_the_second_of_the_logout_is_refused(desk: Desk) -> None:
    """Where the logout cannot tell which session it ended, tokens of its second are refused."""
    second = await in_one_second(desk)
    await desk.logout("alice")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", session="s2", iat=second)


async def test_the_session_of_what_was_removed_counts_as_known(desk: Desk) -> None:
    """A server's logout of a device ends the session that the device was registered with."""
    second = await in_one_second(desk)
    await desk.login("alice", "token", "phone", session="s1", iat=second)
    await desk.logout("alice", device="phone")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", session="s1", iat=second)
    await desk.login("alice", "token", "phone", session="s2", iat=second)


async def test_an_address_and_an_identity_are_fenced_likewise(desk: Desk) -> None:
    """Logouts by address and of the whole identity refuse what was issued before them."""
    iat = await desk.now() - 5
    await desk.logout("alice", address="token")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", iat=iat)
    await desk.login("alice", "other", iat=iat)
    await desk.logout("alice")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "third", iat=iat)
    await desk.login("bob", "token", iat=iat)


async def test_a_fenced_registration_changes_nothing(desk: Desk) -> None:
    """A refused registration takes the address from nobody."""
    iat = await desk.now() - 5
    await desk.login("bob", "token", "phone")
    await desk.logout("alice", device="phone")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", iat=iat)
    assert await desk.desired("bob") == {"token"}


async def test_a_dead_session_cannot_hide_behind_an_unchanged_registration(desk: Desk) -> None:
    """A late repeat by a dead session is refused although a new session has registered the same since."""
    iat = await desk.now() - 5
    await desk.login("alice", "token", "phone", session="s1", iat=iat)
    await desk.logout("alice", session="s1")
    await desk.login("alice", "token", "phone", session="s2", iat=iat)
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", session="s1", iat=iat)
    assert await desk.logout("alice", session="s2") == 1


async def test_turning_push_off_fences_nothing(desk: Desk) -> None:
    """Deleting one binding is no logout: the same token registers again."""
    iat = await desk.now() - 5
    done = await desk.login("alice", "token", "phone", iat=iat, settle=True)
    assert await desk.delete(done.record.sid)
    await desk.login("alice", "token", "phone", iat=iat)
    assert await desk.desired("alice") == {"token"}


async def test_a_logout_of_one_channel_fences_that_channel(desk: Desk) -> None:
    """A logout from Chat alone leaves Notify open, and refuses Chat."""
    iat = await desk.now() - 5
    await desk.login("alice", "token", "phone", channels=BOTH, iat=iat)
    await desk.logout("alice", device="phone", channels=CHAT)
    await desk.login("alice", "token", "phone", channels=NOTIFY, iat=iat)
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", channels=BOTH, iat=iat)


async def test_fences_live_as_long_as_tokens_may_and_no_longer(desk: Desk) -> None:
    """A fence's life is the longest token's, and what an issuer's clock may be ahead."""
    await desk.logout("alice", session="s1")
    session = desk.section.fingerprints.session(desk.owner("alice"), "s1")
    key = desk.section.anchor + b":fs" + desk.owner("alice") + session
    lifetime = await desk.redis.command("TTL", key, key=desk.section.anchor)
    assert isinstance(lifetime, int)
    assert lifetime in (TOKEN_SECONDS + CLOCK_LEEWAY - 1, TOKEN_SECONDS + CLOCK_LEEWAY)


async def test_a_token_does_not_outlive_the_fences_against_it(desk: Desk) -> None:
    """By the store's clock, which fences end by, no token is older than it may be: whoever checks it may be behind."""
    with pytest.raises(Unauthenticated):
        await desk.login("alice", "token", iat=await desk.now() - TOKEN_SECONDS)
    assert await desk.desired("alice") == set()
    await desk.login("alice", "token", iat=await desk.now() - TOKEN_SECONDS + 10)
    assert await desk.desired("alice") == {"token"}


async def test_sessions_that_differ_are_not_known(desk: Desk) -> None:
    """Where what was removed had a session here and none there, the logout cannot tell which it ended."""
    second = await in_one_second(desk)
    await desk.login("alice", "one", "phone", iat=second)
    await desk.login("alice", "two", "tablet", session="s1", iat=second)
    await desk.logout("alice")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "three", session="s2", iat=second)


@pytest.mark.parametrize("by", ["device", "address"])
async def test_a_logout_covers_the_session_that_it_removed_whoevers_it_is(desk: Desk, by: str) -> None:
    """An app logs its device out under a new session, which has not registered yet: the old one ends in that second."""
    second = await in_one_second(desk)
    await desk.login("alice", "token", "phone", session="s1", iat=second)
    device, address = ("phone", None) if by == "device" else (None, "token")
    assert await desk.logout("alice", device=device, address=address, own_session="s2") == 1
    for session in ("s1", "s2"):
        with pytest.raises(SessionEnded):
            await desk.login("alice", "token", "phone", session=session, iat=second)


def clocked(name: str) -> Script:
    """The script, with a clock that the test sets."""
    return Script(
        name, script(name).source.replace(b"redis.call('TIME')", b"redis.call('HMGET', KEYS[1] .. ':clock', 's', 'u')")
    )


async def test_a_clock_set_back_brings_no_ended_session_to_life(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two logouts of a device end two sessions; between them the store fails over to one whose clock is behind."""
    monkeypatch.setattr(Section, "_script", staticmethod(clocked))
    desk, now = Desk(redis), 1_800_000_000

    async def clock(second: int) -> None:
        await redis.command(
            "HSET", desk.section.anchor + b":clock", "s", str(second), "u", "0", key=desk.section.anchor
        )

    await clock(now)
    await desk.logout("alice", device="phone", own_session="s1")
    await clock(now - 1)
    await desk.logout("alice", device="phone", own_session="s2")
    with pytest.raises(SessionEnded):
        await desk.login("alice", "token", "phone", session="s1", iat=now)


@pytest.mark.parametrize(("ended", "open_"), [(CHAT, NOTIFY), (NOTIFY, CHAT)])
async def test_a_sessions_logout_of_one_channel_fences_that_channel(desk: Desk, ended: Channel, open_: Channel) -> None:
    """Whatever its clock says; so does a device's, for what was issued before."""
    await desk.logout("alice", session="s1", channels=ended)
    await desk.logout("alice", device="phone", channels=ended, own_session="s3")
    later = await desk.now() + 10
    for channels in (ended, BOTH):
        with pytest.raises(SessionEnded):
            await desk.login("alice", "token", "tablet", channels=channels, session="s1", iat=later)
        with pytest.raises(SessionEnded):
            await desk.login("alice", "token", "phone", channels=channels, session="s2", iat=later - 20)
    await desk.login("alice", "token", "tablet", channels=open_, session="s1", iat=later)
    await desk.login("alice", "token", "phone", channels=open_, session="s2", iat=later - 20)


@pytest.mark.parametrize(("first", "second"), [(CHAT, NOTIFY), (NOTIFY, CHAT)])
async def test_a_logout_of_the_other_channel_brings_no_ended_session_to_life(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, first: Channel, second: Channel
) -> None:
    """Each ended a session, later or in the same second: in the channel of the first its token is refused."""
    monkeypatch.setattr(Section, "_script", staticmethod(clocked))
    for seconds, channels in ((100, second), (0, second), (0, BOTH)):
        desk, now = Desk(redis), 1_800_000_000
        clock = desk.section.anchor + b":clock"
        await redis.command("HSET", clock, "s", str(now), "u", "0", key=desk.section.anchor)
        await desk.logout("alice", device="phone", channels=first, own_session="s1")
        await redis.command("HSET", clock, "s", str(now + seconds), key=desk.section.anchor)
        await desk.logout("alice", device="phone", channels=channels, own_session="s2")
        with pytest.raises(SessionEnded):
            await desk.login("alice", "token", "phone", channels=first, session="s1", iat=now)


@pytest.mark.parametrize("channels", [NOTIFY, CHAT, BOTH])
async def test_the_session_of_the_later_logout_is_the_one_that_is_known(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, channels: Channel
) -> None:
    """What the earlier one ended is refused by its second: a third session's token of the later second is good."""
    monkeypatch.setattr(Section, "_script", staticmethod(clocked))
    desk, now = Desk(redis), 1_800_000_000
    clock = desk.section.anchor + b":clock"
    for second, session in ((now, "s1"), (now + 100, "s2"), (now + 100, "s2")):
        await redis.command("HSET", clock, "s", str(second), "u", "0", key=desk.section.anchor)
        await desk.logout("alice", device="phone", channels=channels, own_session=session)
    for session, iat in (("s1", now), ("s3", now), ("s2", now + 100)):
        with pytest.raises(SessionEnded):
            await desk.login("alice", "token", "phone", channels=channels, session=session, iat=iat)
    await desk.login("alice", "token", "phone", channels=channels, session="s3", iat=now + 100)
