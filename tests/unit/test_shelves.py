"""What an upstream shows, packed for comparison."""

from __future__ import annotations

from service.domain.addresses import BindingType
from service.domain.record import Attributes
from service.domain.sids import BindingSid
from service.usecases.comparing.shelves import Binding, NotifyShelves, Shelves, digest, version_digest


def binding(first: int, number: int) -> Binding:
    """One whose fingerprint begins so."""
    raw = bytes([first]) + number.to_bytes(11, "big") * 3
    return Binding(raw[:12], BindingSid.of(raw[12:28]), raw[:16], raw[:8], raw[-4:])


def test_each_is_on_the_shelf_of_its_first_byte() -> None:
    """By fingerprint, two of one address too; taken once."""
    shelves = NotifyShelves()
    some = [binding(7, 1), binding(7, 2), binding(255, 1), binding(7, 1)]
    for each in some:
        shelves.put(each)
    assert shelves.take(7) == {some[0].fingerprint: [some[0], some[3]], some[1].fingerprint: [some[1]]}
    assert shelves.take(7) == {}
    assert shelves.take(255) == {some[2].fingerprint: [some[2]]}


def test_a_digest_tells_what_two_sides_can_differ_in() -> None:
    """The order of tags, and a tag said twice, are no difference."""
    same = digest(BindingType.FCM, Attributes("alice", ("a", "b")))
    assert digest(BindingType.FCM, Attributes("alice", ("b", "a", "a"))) == same
    others = [
        digest(BindingType.GCM, Attributes("alice", ("a", "b"))),
        digest(BindingType.FCM, Attributes("bob", ("a", "b"))),
        digest(BindingType.FCM, Attributes("alice", ("a",))),
        digest(BindingType.FCM, Attributes("alice", ("a", "b"), "CR" + "0" * 32)),
    ]
    assert same not in others
    assert len({version_digest(version) for version in (None, "", "3", "4")}) == 4


def test_other_things_come_back_by_shelf() -> None:
    """Packed, in the order in which they were put there."""
    shelves = Shelves()
    for key, thing in ((b"\x01a", "one"), (b"\x00b", "two"), (b"\x01c", "three")):
        shelves.put(key, thing)
    assert list(shelves.take()) == [[b"\xa3two"], [b"\xa3one", b"\xa5three"]]
    assert list(shelves.take()) == []
