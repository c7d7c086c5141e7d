"""Page tokens: ours, for their own list, or refused."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from service.api.compatible.page_tokens import ListName, PageTokens
from service.domain.errors import BadPageToken
from service.usecases.paging import Position

TOKENS = PageTokens("a secret of thirty-two characters")
LIST = ListName("notify", "IS" + "a" * 32, "", (("Tag", "a"), ("Tag", "b"), ("Identity", "i")))
HERE = Position(bytes(range(12)), backwards=False)


@pytest.mark.parametrize("position", [HERE, Position(bytes(range(12)), backwards=True), Position(b"\xff" * 12)])
def test_a_token_leads_back_to_its_position(position: Position) -> None:
    """A token holds its position and direction, and fits a URL as it is."""
    token = TOKENS.make(LIST, position)
    assert TOKENS.read(LIST, token) == position
    assert token.replace("-", "").replace("_", "").isalnum()


def test_order_and_repetition_of_filters_do_not_matter() -> None:
    """The same filters in another order, or repeated, name the same list."""
    other = ListName(LIST.kind, LIST.service_sid, "", (*reversed(LIST.filters), ("Tag", "a")))
    assert TOKENS.read(other, TOKENS.make(LIST, HERE)) == HERE


@pytest.mark.parametrize(
    "other",
    [
        ListName("chat", LIST.service_sid, "", LIST.filters),
        ListName("notify", "IS" + "b" * 32, "", LIST.filters),
        ListName("notify", LIST.service_sid, "US" + "a" * 32, LIST.filters),
        ListName("notify", LIST.service_sid, "", LIST.filters[:-1]),
        ListName("notify", LIST.service_sid, "", ()),
        ListName("notify", LIST.service_sid, "", (*LIST.filters[:-1], ("Identity", "j"))),
    ],
)
def test_a_token_is_for_its_own_list(other: ListName) -> None:
    """Another kind, Service, user or filter refuses it."""
    with pytest.raises(BadPageToken):
        TOKENS.read(other, TOKENS.make(LIST, HERE))


def test_another_secret_refuses_it() -> None:
    """A token of another deployment is refused."""
    with pytest.raises(BadPageToken):
        PageTokens("another secret of thirty-two chars").read(LIST, TOKENS.make(LIST, HERE))


def test_every_changed_byte_is_noticed() -> None:
    """No byte of a token can be changed."""
    raw = urlsafe_b64decode(TOKENS.make(LIST, HERE) + "===")
    for n in range(len(raw)):
        forged = bytearray(raw)
        forged[n] ^= 1
        with pytest.raises(BadPageToken):
            TOKENS.read(LIST, urlsafe_b64encode(forged).decode().rstrip("="))


def test_every_changed_character_is_noticed() -> None:
    """No character can be changed, added or dropped, not even where Base64 has spare bits."""
    token = TOKENS.make(LIST, HERE)
    for n in range(len(token)):
        for other in "AQgw-!":
            forged = token[:n] + other + token[n + 1 :]
            if forged != token:
                with pytest.raises(BadPageToken):
                    TOKENS.read(LIST, forged)
    for forged in (token + "!", token + "=", token[:-1], " " + token, token + "A"):
        with pytest.raises(BadPageToken):
            TOKENS.read(LIST, forged)


@pytest.mark.parametrize("token", ["", "x", "PT" + "a" * 32, "é", "\u0660", "=" * 8, "a" * 5000, "!!!!", "AAAA" * 5])
def test_what_is_no_token_is_refused(token: str) -> None:
    """Anything else is refused."""
    with pytest.raises(BadPageToken):
        TOKENS.read(LIST, token)


def test_an_upstreams_way_on_fits() -> None:
    """It is a query string, with that upstream's own token in it."""
    on = Position(there="?BindingType=apn&BindingType=fcm&PageSize=50&Page=12&PageToken=" + "x" * 300)
    assert TOKENS.read(LIST, TOKENS.make(LIST, on)) == on
