"""Forms and query strings, as SDKs and strangers send them."""

import pytest

from service.api.forms import decode_fields
from service.domain.errors import InvalidInput
from service.domain.limits import FORM_FIELDS


def test_a_lone_value_is_a_list() -> None:
    """A single ``Tag=a`` is a list of one."""
    assert decode_fields(b"Tag=a") == {"Tag": ["a"]}


def test_repeated_keys_keep_their_order() -> None:
    """Repeated keys make a list in the order in which they came."""
    assert decode_fields(b"Tag=b&Identity=i&Tag=a") == {"Tag": ["b", "a"], "Identity": ["i"]}


@pytest.mark.parametrize("encoded", [b"Tag=a+b", b"Tag=a%20b"])
def test_both_spaces_decode(encoded: bytes) -> None:
    """twilio-python encodes a space as ``+``, twilio-node as ``%20``."""
    assert decode_fields(encoded) == {"Tag": ["a b"]}


def test_values_decode_once() -> None:
    """Percent signs, plus signs, equals signs and text beyond ASCII arrive as they were meant."""
    assert decode_fields("Tag=%2B1%3D%2525=é%C3%A9".encode()) == {"Tag": ["+1=%25=éé"]}


@pytest.mark.parametrize("raw", [b"", b"&", b"&&&"])
def test_nothing_is_nothing(raw: bytes) -> None:
    """Empty forms have no parameters."""
    assert decode_fields(raw) == {}


def test_a_bare_key_is_empty() -> None:
    """A key without a value has the empty one."""
    assert decode_fields(b"Tag&=x") == {"Tag": [""], "": ["x"]}


@pytest.mark.parametrize("raw", [b"Identity=%FF", b"Identity=\xff", b"Identity=%ED%A0%80"])
def test_what_is_not_utf8_is_refused_by_name(raw: bytes) -> None:
    """Bytes that are not UTF-8, lone surrogates included, are refused, naming the parameter."""
    with pytest.raises(InvalidInput, match=r"^Identity: must be UTF-8$"):
        decode_fields(raw)


@pytest.mark.parametrize("raw", [b"Identity=a%00b", b"Identity=a\0b"])
def test_a_nul_is_refused_by_name(raw: bytes) -> None:
    """A NUL is refused, naming the parameter."""
    with pytest.raises(InvalidInput, match=r"^Identity: must not contain a NUL"):
        decode_fields(raw)


@pytest.mark.parametrize("raw", [b"15005550006=%FF", b"15005550006=%00", b"15005550006%00=1", b"15005550006%FF=1"])
def test_a_strangers_name_is_not_repeated(raw: bytes) -> None:
    """What a caller took for a parameter's name may be an address: errors don't repeat it."""
    with pytest.raises(InvalidInput) as caught:
        decode_fields(raw)
    assert "1500" not in str(caught.value)


def test_too_many_fields_are_refused_before_they_are_decoded() -> None:
    """The limit of fields is exact, and counts before anything is decoded."""
    assert len(decode_fields(b"&".join([b"Tag=a"] * FORM_FIELDS))["Tag"]) == FORM_FIELDS
    with pytest.raises(InvalidInput, match=str(FORM_FIELDS)):
        decode_fields(b"&".join([b"Tag=%FF"] * (FORM_FIELDS + 1)))
