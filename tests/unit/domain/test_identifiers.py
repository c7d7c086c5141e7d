"""SIDs, registration ids and fingerprints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.fingerprints import NO_DEVICE, NO_SESSION, Fingerprints, check_value, derive_key
from service.domain.sids import BindingSid, RegistrationId, is_sid, user_sid

KEY = derive_key("secret", "fingerprints")
PRINTS = Fingerprints(KEY, "IS" + "a" * 32)


@pytest.mark.parametrize(
    ("kind", "text", "good"),
    [
        ("IS", "IS" + "0a" * 16, True),
        ("IS", "IS" + "0A" * 16, True),
        ("IS", "BS" + "0a" * 16, False),
        ("IS", "IS" + "0a" * 15, False),
        ("IS", "IS" + "0g" * 16, False),
        ("IS", "is" + "0a" * 16, False),
        ("IS", "IS" + "0a" * 16 + "\n", False),
    ],
)
def test_the_form_of_sids(kind: str, text: str, good: bool) -> None:
    """Two letters and 32 hex digits of either case."""
    assert is_sid(kind, text) is good


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=4, max_size=4))
def test_a_binding_sid_leads_to_its_record(fingerprint: bytes, nonce: bytes) -> None:
    """A SID is taken apart into what it was made of, in either case."""
    sid = BindingSid(fingerprint, nonce)
    assert is_sid("BS", str(sid))
    assert BindingSid.parse(str(sid)) == sid == BindingSid.parse("BS" + str(sid)[2:].upper())


@given(st.binary(min_size=12, max_size=12), st.integers(0, 2**53))
def test_a_registration_id_holds_its_generation(fingerprint: bytes, generation: int) -> None:
    """An id is taken apart into what it was made of."""
    id_ = RegistrationId(fingerprint, generation)
    assert RegistrationId.parse(str(id_)) == id_


@pytest.mark.parametrize("text", ["", "x" * 38, "0" * 37, "0" * 39, "A" * 38])
def test_what_is_no_registration_id(text: str) -> None:
    """Other text is none, upper case included: ids are given out in one form."""
    assert RegistrationId.parse(text) is None


def test_fingerprints_depend_on_key_service_and_purpose() -> None:
    """The same text has other fingerprints under another key, in another Service, for another purpose."""
    other_key = Fingerprints(derive_key("other", "fingerprints"), "IS" + "a" * 32)
    other_service = Fingerprints(KEY, "IS" + "b" * 32)
    made = {
        PRINTS.address("x"),
        PRINTS.device("x"),
        PRINTS.endpoint("x"),
        PRINTS.owner("x")[:12],
        other_key.address("x"),
        other_service.address("x"),
        derive_key("secret", "page tokens")[:12],
    }
    assert len(made) == 7


def test_no_device_and_no_session_are_zeros() -> None:
    """What is not named has no digest of its own."""
    assert PRINTS.device(None) == NO_DEVICE
    assert PRINTS.session(PRINTS.owner("alice"), None) == NO_SESSION


def test_the_fingerprint_key_is_recognised_but_not_given_away() -> None:
    """The check value tells two keys apart and is no part of either."""
    assert check_value(KEY) != check_value(derive_key("other", "fingerprints"))
    assert check_value(KEY) not in KEY.hex()


def test_a_user_sid_is_a_sid() -> None:
    """The owner digest in hex."""
    assert is_sid("US", user_sid(PRINTS.owner("alice")))
