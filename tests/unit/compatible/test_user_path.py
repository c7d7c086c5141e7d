"""Paths beneath a Chat user, taken apart as they were sent."""

import pytest

from service.api.compatible.chat_users import UserPath, user_path
from service.domain.errors import NotFound

SERVICE = b"/v2/Services/IS" + b"a" * 32


@pytest.mark.parametrize("prefix", [b"", b"/chat", b"/behind/a/proxy/chat"])
@pytest.mark.parametrize(
    ("sent", "user"),
    [
        (b"alice", "alice"),
        (b"alice@example.org", "alice@example.org"),
        (b"a%20b+c", "a b+c"),
        (b"%C3%A9t%C3%A9", "été"),
        (b"a%2Fb", "a/b"),
        (b"100%2525", "100%25"),
        (b"Users", "Users"),
        (b"Bindings", "Bindings"),
        (b"%3F", "?"),
    ],
)
def test_the_user_is_decoded_once(prefix: bytes, sent: bytes, user: str) -> None:
    """An identity arrives as it was meant, slashes included, on the list and on one binding."""
    path = prefix + SERVICE + b"/Users/" + sent + b"/Bindings"
    assert user_path(path) == UserPath(user, None)
    assert user_path(path + b"/?x=/Users/y/Bindings") == UserPath(user, None)
    assert user_path(path + b"/BS1") == UserPath(user, "BS1")


@pytest.mark.parametrize(
    "rest",
    [b"/Users", b"/Users/a", b"/Users//Bindings", b"/Users/a/b", b"/Users/a/Bindings/b/c", b"/Users/%FF/Bindings"],
)
def test_other_paths_are_not_found(rest: bytes) -> None:
    """Paths of another form, or not in UTF-8, lead nowhere."""
    with pytest.raises(NotFound):
        user_path(SERVICE + rest)


def test_an_identity_beyond_the_limit_is_not_found() -> None:
    """Nobody can have an identity that is too long."""
    with pytest.raises(NotFound):
        user_path(SERVICE + b"/Users/" + b"a" * 257 + b"/Bindings")
