"""Addresses: canonical forms and the forms that providers give out."""

import pytest

from service.domain.addresses import BindingType, canonical, check_form, spellings, well_formed
from service.domain.errors import InvalidInput

APN, FCM, SMS = BindingType.APN, BindingType.FCM, BindingType.SMS


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (APN, "ABCDEF01", "abcdef01"),
        (APN, "<abcd ef01>", "abcdef01"),
        (APN, "Unit 3856 Box 3973", "Unit 3856 Box 3973"),
        (FCM, "ABCDEF01", "ABCDEF01"),
        (FCM, "dQw4:w9W_gXc-Q", "dQw4:w9W_gXc-Q"),
        (SMS, "+15005550006", "+15005550006"),
    ],
)
def test_apns_hex_is_folded_and_nothing_else(kind: BindingType, given: str, kept: str) -> None:
    """Only an APNs token that is hex once bared of decoration is folded; FCM tokens are case-sensitive."""
    assert canonical(kind, given) == kept
    assert canonical(kind, kept) == kept


@pytest.mark.parametrize("length", [64, 66, 160, 200])
def test_apns_tokens_have_variable_length(length: int) -> None:
    """Even numbers of hex digits from 64 to 200."""
    assert well_formed(APN, "a" * length)


@pytest.mark.parametrize("token", ["", "a" * 62, "a" * 65, "a" * 202, "g" * 64, "a" * 63 + "\n"])
def test_what_is_no_apns_token(token: str) -> None:
    """Anything else is refused, without being repeated."""
    with pytest.raises(InvalidInput) as refused:
        check_form(APN, token)
    assert refused.value.field == "address"
    assert not token or token not in refused.value.detail


@pytest.mark.parametrize("token", ["a:b_c-D" + "x" * 150, "cQw4w9WgXcQ_-abcdefghi", "f" * 22, "x" * 4096])
def test_fcm_tokens_and_installation_ids(token: str) -> None:
    """Registration tokens and Firebase installation ids pass wherever an FCM address does."""
    assert well_formed(FCM, token)
    assert well_formed(BindingType.GCM, token)


@pytest.mark.parametrize("token", ["", "x" * 4097, "with space", "ümläut", "a/b", "a+b"])
def test_what_is_no_fcm_token(token: str) -> None:
    """Other characters, or more of them, are refused."""
    assert not well_formed(FCM, token)


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("+1", False),
        ("+12", True),
        ("+15005550006", True),
        ("+0123", False),
        ("15005550006", False),
        ("+" + "1" * 16, False),
    ],
)
def test_phone_numbers_are_e164(number: str, good: bool) -> None:
    """A plus, no leading zero, at most 15 digits."""
    assert well_formed(SMS, number) is good


def test_an_address_of_unknown_type_has_two_spellings_at_most() -> None:
    """Verbatim, and folded where that differs."""
    assert spellings("ABCD") == ("ABCD", "abcd")
    assert spellings("abcd") == ("abcd",)
    assert spellings("Token:X") == ("Token:X",)
