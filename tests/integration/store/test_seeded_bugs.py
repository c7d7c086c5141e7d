# ruff: noqa: E501  # one bug, one line
"""Each line of the contract that the scripts keep has a test that fails when the line is broken: here each is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.domain.errors import CapReached
from service.redis import Script
from service.store.scripts import script
from service.store.section import Section
from tests.integration.store import (
    test_adopting,
    test_cap,
    test_channels,
    test_fences,
    test_ledger,
    test_no_leak,
    test_one_owner,
    test_upstream,
)
from tests.integration.store.desk import Desk
from tests.integration.store.upstream_desk import UpstreamDesk

Test = Callable[[Desk], Awaitable[None]]

BUGS: list[tuple[str, str, str, Test]] = [
    # 1: one address, one owner
    ("1 the former owner's map keeps a taken address", "enter(former, fp, 0)", "", test_one_owner.test_a_second_login_takes_the_address_from_the_first),
    ("1 a rotated token leaves the old one", "if other and other.channels ~= 0 and other.device == device and KIND[other.type] == pointer then", "if false then", test_one_owner.test_a_new_token_replaces_the_old_one_of_the_device),
    # 2: no leak after the answer
    ("2 a takeover leaves the applied version visible", "if own and not settled and has(own.channels, NOTIFY) then past = applied_section(own, own.notify) end", "if live then past = applied_section(live, live.notify) end", test_no_leak.test_after_a_takeover),
    ("2 a logout leaves Chat", "if not inherited then drop_chat(r.link, at_once, reason, by) end", "", test_no_leak.test_after_a_logout),
    ("2 an old SID still deletes", "if section == '' or shown_sid(id, r, section) ~= sid then", "if false then", test_no_leak.test_a_replaced_binding_is_not_found_by_its_sid),
    # 3: the last request wins
    ("3 settled whatever happened since", "r and holds and r.version == tonumber(seen)", "r", test_ledger.test_settling_an_old_version_changes_nothing),
    ("3 settled whatever the lease", "local holds = score and tonumber(score) == tonumber(token)", "local holds = true", test_ledger.test_a_lease_keeps_others_off_until_it_ends),
    # 4: nothing answered is lost
    ("4 nothing is owed", "redis.call('ZADD', A .. ':' .. m[3], NOW_MS, m[2])", "", test_ledger.test_the_sweep_finds_what_nobody_was_woken_for),
    ("4 the wake flag outlives the drain", "redis.call('DEL', flag)", "", test_ledger.test_a_registration_during_a_drain_is_not_missed),
    # 5: the cap
    ("5 the cap counts one too few", "if #held >= cap then", "if #held > cap then", test_cap.test_the_twenty_first_is_refused),
    ("5 chat-only registrations count", "if e[1] ~= fp and has(e[2], NOTIFY) and get", "if e[1] ~= fp and get", test_cap.test_chat_only_registrations_do_not_count),
    # 6: a dead session stays dead
    ("6 no fence where there was nothing to remove", "for _, what in ipairs(named_list) do raise_fence", "for _, what in ipairs(ended > 0 and named_list or {}) do raise_fence", test_fences.test_a_late_registration_of_a_logged_out_device_is_refused),
    ("6 unchanged before fenced", "if is_fenced(owner, device, { fp }, session, channels, iat) then return { 'fenced' } end", "if not get('r', fp) and is_fenced(owner, device, { fp }, session, channels, iat) then return { 'fenced' } end", test_fences.test_a_dead_session_cannot_hide_behind_an_unchanged_registration),
    ("6 the second of the logout is let through", "return iat < at or not another", "return iat < at", test_fences.test_without_a_known_session_the_second_of_the_logout_is_refused),
    # 7: logout is channel-aware
    ("7 a logout takes messaging too", "(KIND[r.type] or messaging or by == 'a')", "true", test_channels.test_a_logout_spares_messaging),
    ("7 a logout of one channel takes both", "local going = bit.band(r.channels, channels)", "local going = r.channels", test_channels.test_dropping_one_channel_keeps_the_other),
]  # fmt: skip


UPSTREAM_BUGS: list[tuple[str, str, str, Callable[[UpstreamDesk], Awaitable[None]]]] = [
    ("a dead worker leaves no doubt", "if tonumber(due[n + 1]) % 1 ~= 0 then", "if false then", test_upstream.test_a_worker_that_died_leaves_a_doubt),
    ("a mark breaks the lease", "if not (external > 0 and has(external, m[1] == 'n' and NOTIFY or CHAT) and leased(m[1], m[2])) then", "if true then", test_upstream.test_a_mark_breaks_no_lease),
    ("a mark wipes the evidence of a lost lease", "return score and tonumber(score) % 1 ~= 0", "return score and tonumber(score) % 1 ~= 0 and tonumber(score) > NOW_MS", test_upstream.test_a_mark_keeps_the_evidence_of_a_lost_lease),
    ("a doubt ends with the first look", "if r.doubt and r.doubt > began then", "if false then", test_upstream.test_a_lost_answer_is_in_doubt_until_it_can_no_longer_matter),
    ("a late settlement goes unnoticed", "if report ~= 'same' and not known_already(r, score, report, sid) then", "if false then", test_upstream.test_a_worker_that_wakes_late_is_looked_after),
    ("a late settlement of what is gone is forgotten", "elseif report == 'unknown' or (report == 'is' and sid ~= '') then", "elseif false then", test_upstream.test_a_late_worker_of_what_nobody_wants_any_more),
    ("a takeover forgets who was being told", "suspect(list, r.type, r.attributes) end\n  return list", "local _ = 0 end\n  return list", test_upstream.test_whoever_may_hold_the_address_is_remembered_through_takeovers),
    ("a repeated settlement raises a doubt", "return (first and first.sid or '') == sid", "return false", test_upstream.test_a_settlement_that_is_repeated_changes_nothing),
    ("the sweep wipes the evidence", "NOW_MS - 1 + tonumber(ahead[n + 1]) % 1", "NOW_MS", test_upstream.test_a_sweep_after_the_clock_was_set_back_keeps_the_evidence),
    ("adopted past a logout", "if at > 0 and updated <= at then return true end", "", test_adopting.test_what_was_logged_out_comes_back_only_to_be_deleted),
    ("adopted from a list of before", "ms >= began or ", "", test_adopting.test_a_list_from_before_a_takeover_and_a_logout_shows_nothing_any_more),
    ("adopted past what the upstream never heard of", "\n      and (vanished or depart(id, UNSEEN_MS))", "", test_adopting.test_a_takeover_that_the_upstream_never_heard_of_counts),
    ("adopted as certain from a list of before", "if notify == PENDING then list_first(new, r) end", "", test_adopting.test_what_a_list_from_before_a_removal_shows_is_in_doubt),
    ("adopted over a registration", "importing and newer and not ended", "newer and not ended", test_adopting.test_a_registration_of_anothers_address_stands),
]  # fmt: skip

HANGING = {"4 nothing is owed", "a late settlement goes unnoticed"}
"""Bugs with which a test waits for what never comes."""


@pytest.mark.parametrize(("name", "right", "wrong", "test"), UPSTREAM_BUGS, ids=[bug[0] for bug in UPSTREAM_BUGS])
async def test_a_seeded_bug_before_an_upstream_is_caught(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    right: str,
    wrong: str,
    test: Callable[[UpstreamDesk], Awaitable[None]],
) -> None:
    """The same of what the store remembers of an upstream."""
    await caught(lambda: test(UpstreamDesk(desk.redis)), monkeypatch, right, wrong, hangs=name in HANGING)


@pytest.mark.parametrize(("name", "right", "wrong", "test"), BUGS, ids=[bug[0] for bug in BUGS])
async def test_a_seeded_bug_is_caught(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str, test: Test
) -> None:
    """The test passes, and with the bug in place it fails."""
    await caught(lambda: test(Desk(desk.redis)), monkeypatch, right, wrong, hangs=name in HANGING)


async def caught(
    run: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, *, hangs: bool
) -> None:
    """Run it twice, the second time with the bug."""
    await run()
    seeded = 0

    def broken(name: str) -> Script:
        nonlocal seeded
        source = script(name).source
        seeded += source.count(right.encode())
        return Script(name, source.replace(right.encode(), wrong.encode()))

    monkeypatch.setattr(Section, "_script", staticmethod(broken))
    # A script that does not even compile makes the store unavailable, and a busy machine is slow: neither is the bug's work.
    # Of what the service answers just the cap is.
    told = TimeoutError if hangs else (AssertionError, CapReached, pytest.fail.Exception)
    with pytest.raises(told):
        async with asyncio.timeout(2 if hangs else 20):
            await run()
    assert seeded, "the scripts no longer have the line that this bug breaks"
