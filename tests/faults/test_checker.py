"""The checker itself: it catches each seeded bug, and finds nothing wrong with what is right."""

from __future__ import annotations

import pytest

from tests.faults.checker import check
from tests.faults.history import NEVER, NOTIFY, Action, Delete, History, Listing, Logout, Lookup, Op, Outcome, Register
from tests.faults.linearizable import SETTLED
from tests.faults.simulation import Bug, Simulation

SEEDS = 12


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_correct_history_is_found_correct(seed: int) -> None:
    """Overlaps, refusals, and writes whose outcome nobody knows are no breach."""
    assert check(Simulation(seed).history) == []


@pytest.mark.parametrize("bug", Bug)
def test_a_seeded_bug_is_caught_in_random_histories(bug: Bug) -> None:
    """Most times that it strikes; now and then nobody looks in time, or knows that it was not an unknown outcome."""
    struck = [simulation for seed in range(SEEDS) if (simulation := Simulation(seed, bug)).struck]
    caught = [simulation for simulation in struck if check(simulation.history)]
    assert len(struck) >= SEEDS // 2
    assert len(caught) > len(struck) / 2


A = "address"
TAKEN = Register(address=A, identity="alice", device="phone", session="s1", issued_at=999_000)


Told = tuple[float, float, Action] | tuple[float, float, Action, Outcome]


def history(*told: Told) -> History:
    """A history of operations, each by a client of its own."""
    ops = []
    for client, (start, end, action, *more) in enumerate(told):
        outcome = more[0] if more else Outcome.DONE
        end = NEVER if outcome is Outcome.UNKNOWN else end
        ops.append(Op(client=client, start=start, end=end, outcome=outcome, action=action))
    return History(epoch=1_000_000.0, zero=0.0, ops=ops)


def seen(**identities: int) -> Lookup:
    """A lookup that shows the address, or not, for these identities."""
    return Lookup(found={identity: {A: channels} if channels else {} for identity, channels in identities.items()})


def rules(told: History) -> set[str]:
    """The rules that a history breaks."""
    return {violation.rule for violation in check(told)}


def test_a_lost_write_is_caught() -> None:
    """An answered registration that a later lookup does not show, with nothing that could have removed it."""
    assert rules(history((0, 1, TAKEN), (2, 3, seen(alice=0)))) == {"order"}


def test_a_write_that_went_missing_after_it_was_seen_is_caught() -> None:
    """What was there once is there until something ends it."""
    assert rules(history((0, 1, TAKEN), (2, 3, seen(alice=NOTIFY)), (4, 5, seen(alice=0)))) == {"order"}


def test_a_leak_for_50_ms_is_caught() -> None:
    """One lookup within 50 ms of the logout's answer still shows the address; all later ones are clean."""
    logout = Logout(identity="alice", device="phone")
    told: list[Told] = [(0, 1, TAKEN), (2, 2.01, logout), (2.02, 2.05, seen(alice=NOTIFY)), (2.06, 2.1, seen(alice=0))]
    assert rules(history(*told)) == {"order"}


def test_a_leak_in_a_list_is_caught() -> None:
    """A Notify list that began after the takeover was answered shows the former owner's binding."""
    taken_over = Register(address=A, identity="bob", device="phone")
    stale = Listing(identity="alice", found=(A,))
    assert rules(history((0, 1, TAKEN), (2, 3, taken_over), (4, 5, stale))) == {"order"}


def test_a_lookup_that_overlaps_the_logout_may_show_either() -> None:
    """Which came first nobody can tell."""
    logout = Logout(identity="alice", device="phone")
    for shown in (0, NOTIFY):
        assert rules(history((0, 1, TAKEN), (2, 4, logout), (3, 5, seen(alice=shown)))) == set()


def test_two_overlapping_lookups_agree_on_an_order() -> None:
    """Once a lookup has shown the logout's effect, none that begins later shows the address."""
    logout = Logout(identity="alice", device="phone")
    told: list[Told] = [(0, 1, TAKEN), (2, 9, logout), (3, 4, seen(alice=0)), (5, 6, seen(alice=NOTIFY))]
    assert rules(history(*told)) == {"order"}


def test_a_double_owner_is_caught() -> None:
    """In one answer, and in two answers of the quiet end."""
    bob = Register(address=A, identity="bob", device="tablet")
    assert "one owner" in rules(history((0, 1, TAKEN), (2, 3, bob), (4, 5, seen(alice=NOTIFY, bob=NOTIFY))))
    apart = history((0, 1, TAKEN), (2, 3, bob), (4, 5, seen(bob=NOTIFY)), (6, 7, seen(alice=NOTIFY)))
    assert rules(apart) == {"order"}


def test_a_21st_binding_is_caught() -> None:
    """Even if each of them was answered in good order."""
    logins: list[Told] = [(n, n + 0.5, Register(address=f"{A}-{n}", identity="alice")) for n in range(21)]
    full = Lookup(found={"alice": {f"{A}-{n}": NOTIFY for n in range(21)}})
    assert rules(history(*logins, (30, 31, full))) == {"cap"}


def test_a_resurrected_session_is_caught() -> None:
    """A session, or a device with a token from before its logout, registers again."""
    by_session = Logout(identity="alice", session="s1")
    assert rules(history((0, 1, by_session), (2, 3, TAKEN))) == {"fence"}
    by_device = Logout(identity="alice", device="phone")
    assert rules(history((0, 1, by_device), (2, 3, TAKEN))) == {"fence"}


@pytest.mark.parametrize(
    "logout",
    [
        Logout(identity="alice", session="s1"),
        Logout(identity="alice", device="phone", caller="s1"),
        Logout(identity="alice", address=A),
        Logout(identity="alice"),
    ],
    ids=["session", "device", "address", "identity"],
)
def test_a_registration_that_is_under_way_does_not_outlive_the_logout(logout: Logout) -> None:
    """Whichever came first, the address is gone; only what was first may be seen before the logout is answered."""
    under_way: list[Told] = [(0, 3, TAKEN), (1, 2, logout)]
    assert rules(history(*under_way, (4, 5, seen(alice=NOTIFY)))) == {"order"}
    assert rules(history(*under_way, (1.5, 1.8, seen(alice=NOTIFY)), (4, 5, seen(alice=0)))) == set()
    assert rules(history((0, 3, TAKEN), (1, 2, logout, Outcome.UNKNOWN), (4, 5, seen(alice=NOTIFY)))) == set()


def test_a_logout_under_way_ends_no_later_session() -> None:
    """A token of the second in which the logout was asked for may have been issued after it."""
    for issued_at, broken in ((999_999, True), (1_000_000, False)):
        login = Register(address=A, identity="alice", device="phone", session="s2", issued_at=issued_at)
        logout = Logout(identity="alice", device="phone", caller="s1")
        told = history((0.1, 0.5, login), (0.2, 0.4, logout), (0.6, 0.7, seen(alice=NOTIFY)))
        assert bool(rules(told)) == broken


def test_a_new_session_is_not_a_resurrected_one() -> None:
    """A token issued after the logout is good for the same device."""
    again = Register(address=A, identity="alice", device="phone", session="s2", issued_at=1_000_001)
    assert rules(history((0, 0.5, Logout(identity="alice", device="phone")), (2, 3, again))) == set()


def test_the_last_write_wins() -> None:
    """Of two registrations that did not overlap, the earlier one may not be what stays."""
    bob = Register(address=A, identity="bob")
    assert rules(history((0, 1, TAKEN), (2, 3, bob), (4, 5, seen(alice=NOTIFY, bob=0)))) == {"order"}


def test_an_unknown_outcome_may_take_effect_late_or_never_but_not_twice() -> None:
    """A registration that was answered 503 shows up after a while, or not; once ended it stays ended."""
    lost = (0, 1, TAKEN, Outcome.UNKNOWN)
    unknown = history(lost, (2, 3, seen(alice=0)), (4, 5, seen(alice=NOTIFY)))
    unknown.ops[0] = Op(client=0, start=0, end=float("inf"), outcome=Outcome.UNKNOWN, action=TAKEN)
    assert rules(unknown) == set()
    off = (6, 7, Logout(identity="alice", address=A))
    twice = history(lost, (4, 5, seen(alice=NOTIFY)), off, (8, 9, seen(alice=NOTIFY)))
    twice.ops[0] = unknown.ops[0]
    assert rules(twice) == {"order"}


@pytest.mark.parametrize(("absent", "present", "broken"), [(2, 4, False), (2, 14, False), (12, 14, True)])
def test_an_unknown_outcome_does_not_stay_unknown_for_good(absent: float, present: float, broken: bool) -> None:
    """A request that was given up long ago takes effect no more; one that took effect in time may be seen later."""
    late = history((absent, absent + 1, seen(alice=0)), (present, present + 1, seen(alice=NOTIFY)))
    late.ops.append(Op(client=9, start=0, end=NEVER, outcome=Outcome.UNKNOWN, action=TAKEN, given_up=1))
    assert SETTLED == 10
    assert bool(rules(late)) == broken


def test_many_unknown_outcomes_at_once_can_be_decided() -> None:
    """As when a primary hangs for seconds, and everybody wants the same address: in any order, some never."""
    open_ = [
        Register(address=A, identity=f"user-{n}", device="phone", session=f"s{n}", issued_at=999_000) for n in range(24)
    ]
    writes: list[Told] = [(n / 100, 9, write, Outcome.UNKNOWN) for n, write in enumerate(open_)]
    assert rules(history(*writes, (1, 2, seen(**{"user-3": NOTIFY})), (3, 4, seen(**{"user-17": NOTIFY})))) == set()
    assert rules(history(*writes, (1, 2, seen(nobody=NOTIFY)))) == {"order"}


def test_a_rotation_takes_the_old_address_with_it() -> None:
    """The same device registers another address: the first one is gone, whoever had it."""
    rotated = Register(address="another", identity="bob", device="phone")
    assert rules(history((0, 1, TAKEN), (2, 3, rotated), (4, 5, seen(alice=0)))) == set()
    assert rules(history((0, 1, TAKEN), (2, 3, rotated), (4, 5, seen(alice=NOTIFY)))) == {"order"}


def test_a_refusal_needs_a_reason() -> None:
    """Nobody is turned away by a fence that no logout raised, or by a cap that is not reached."""
    for reason in ("session-ended", "cap-reached"):
        told = History(epoch=1_000_000.0, zero=0.0)
        told.ops.append(Op(client=0, start=0, end=1, outcome=Outcome.REFUSED, action=TAKEN, reason=reason))
        assert rules(told) == {"refused"}


def refused(start: float, end: float, action: Action, reason: str) -> Op:
    """An operation that was answered 4xx."""
    return Op(client=0, start=start, end=end, outcome=Outcome.REFUSED, action=action, reason=reason)


@pytest.mark.parametrize(("ends", "broken"), [(25.5, False), (24.5, True)])
def test_a_cap_counts_what_may_be_held_at_the_time(ends: float, broken: bool) -> None:
    """Of 20 addresses one was deleted: surely before the refusal, or perhaps only after it."""
    logins: list[Told] = [(n, n + 0.5, Register(address=f"{A}-{n}", identity="alice")) for n in range(20)]
    told = history(*logins, (24, ends, Delete(identity="alice", address=f"{A}-3")))
    told.ops.append(refused(25, 26, Register(address=A, identity="alice"), "cap-reached"))
    assert bool(rules(told)) == broken


def test_what_was_made_is_found_unless_something_ended_it() -> None:
    """A delete is answered 404 once another has taken the address, and not before."""
    made = Register(address=A, identity="alice", compatible=True)
    told = history((1, 2, made), (5, 6, Register(address=A, identity="bob")))
    told.ops.append(refused(3, 4, Delete(identity="alice", address=A, made=1.0), "not-found"))
    assert rules(told) == {"refused"}
    told.ops[-1] = refused(3, 5.5, Delete(identity="alice", address=A, made=1.0), "not-found")
    assert rules(told) == set()
