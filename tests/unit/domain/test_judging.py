"""Which Chat bindings stay at an upstream, and why the others go."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.domain.addresses import BindingType
from service.domain.judging import Listed, Why, judge
from service.domain.record import HEADER, Attributes, Channel, Record, encode_blob, pack_address

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def noted(
    endpoint: str, kind: BindingType = BindingType.FCM, *, ended: bool = False, link: bytes = b"r" * 12
) -> Record:
    """A Chat binding here."""
    address, attributes = pack_address(endpoint), encode_blob(Attributes("alice"))
    header = HEADER.pack(
        1, kind.code, 0 if ended else Channel.CHAT, 0, 1, 0, b"o" * 16, bytes(12), link, bytes(8), 9, 9, b"nnnn",
        10, 20, 30, len(address), len(attributes), 0,
    )  # fmt: skip
    return Record(b"f" * 12, header + address + attributes)


def there(sid: str, endpoint: str, kind: str = "fcm", day: int = 1) -> Listed:
    """One at the upstream."""
    return Listed(sid=sid, endpoint=endpoint, binding_type=kind, updated=BEGIN.replace(day=day))


def whys(listed: list[Listed], records: list[Record], elsewhere: set[str], strict: bool = False) -> dict[str, Why]:
    """By SID."""
    return {j.binding.sid: j.why for j in judge(listed, records, elsewhere, strict=strict)}


def test_what_is_registered_stays_and_what_has_logged_out_goes() -> None:
    """By endpoint."""
    listed = [there("1", "phone"), there("2", "tablet")]
    assert whys(listed, [noted("phone"), noted("tablet", ended=True)], set()) == {
        "1": Why.REGISTERED,
        "2": Why.LOGGED_OUT,
    }


def test_an_endpoint_of_another_identity_goes() -> None:
    """Also if it had been this one's."""
    assert whys([there("1", "phone")], [noted("phone", ended=True)], {"phone"}) == {"1": Why.ELSEWHERE}


@pytest.mark.parametrize("strict", [False, True])
def test_unknown_endpoints_stay_unless_strict(strict: bool) -> None:
    """What was never registered here may be another system's."""
    assert whys([there("1", "pc")], [], set(), strict) == {"1": Why.STRANGE if strict else Why.UNKNOWN}


def test_a_doubled_type_goes_only_where_the_registered_one_is_there() -> None:
    """gcm beside fcm is a double; gcm alone is what reaches the device."""
    fcm, gcm = there("1", "phone", "fcm"), there("2", "phone", "gcm", day=2)
    ended = noted("phone", BindingType.GCM, ended=True)
    assert whys([fcm, gcm], [noted("phone"), ended], set()) == {"1": Why.REGISTERED, "2": Why.DOUBLED_TYPE}
    assert whys([gcm], [noted("phone"), ended], set()) == {"2": Why.REGISTERED}


def test_of_duplicates_the_newest_stays() -> None:
    """An upstream ought to have none."""
    listed = [there("1", "phone", day=1), there("2", "phone", day=3), there("3", "phone", day=2)]
    assert whys(listed, [noted("phone")], set()) == {"1": Why.DUPLICATE, "2": Why.REGISTERED, "3": Why.DUPLICATE}


def test_a_logout_of_the_identity_ends_what_was_made_before_it() -> None:
    """Registered here or not, but for what has been registered since; a binding without a time counts as older."""
    listed = [there("1", "old"), there("2", "young", day=3), there("3", "phone")]
    day = int(BEGIN.replace(day=2).timestamp())
    judged = judge([*listed, Listed(sid="4", endpoint="e", binding_type="fcm")], [noted("phone")], set(), strict=False)
    assert all(j.kept for j in judged)
    judged = judge(listed, [noted("phone")], set(), strict=False, logged_out=day)
    assert {j.binding.sid: j.why for j in judged} == {"1": Why.LOGGED_OUT, "2": Why.UNKNOWN, "3": Why.REGISTERED}
    [timeless] = judge([Listed(sid="4", endpoint="e", binding_type="fcm")], [], set(), strict=False, logged_out=day)
    assert timeless.why is Why.LOGGED_OUT


def test_what_was_adopted_says_nothing() -> None:
    """No app has registered it here: it is as unknown as it was."""
    adopted = noted("pc", link=bytes(12))
    assert whys([there("1", "pc")], [adopted], set()) == {"1": Why.UNKNOWN}
    assert whys([there("1", "pc")], [adopted], set(), strict=True) == {"1": Why.STRANGE}
