"""Apps' tokens: held to the verdicts of PyJWT, and stricter where it is lenient."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.app_tokens import AppTokens
from service.domain.errors import Unauthenticated

SECRET, OTHER = "a secret for tokens of 32 bytes or more", "another secret of more than 32 bytes"
LEEWAY, DAY = 60, 86_400
NOW = int(time.time())


def ours(token: str, *secrets: str) -> str | None:
    """The identity of a token, or None if it is refused."""
    try:
        return AppTokens(secrets or (SECRET,), DAY).app(token).identity
    except Unauthenticated:
        return None


def theirs(token: str) -> str | None:
    """The same by PyJWT."""
    options: Any = {"require": ["sub", "iat", "exp"], "verify_aud": False}
    try:
        claimed = jwt.decode(token, SECRET, algorithms=["HS256"], leeway=LEEWAY, options=options)
    except (jwt.InvalidTokenError, ValueError):
        return None
    return str(claimed["sub"])


def signed(claimed: object, header: object = None) -> str:
    """A token of any claims and header at all, rightly signed."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    begun = part({"alg": "HS256", "typ": "JWT"} if header is None else header) + b"." + part(claimed)
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(begun, SECRET.encode())
    return (begun + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def claims(**more: object) -> dict[str, object]:
    """Claims that hold."""
    return {"sub": "alice", "iat": NOW, "exp": NOW + 3600, **more}


times = st.one_of(
    st.integers(NOW - 2 * DAY, NOW + 2 * DAY).filter(lambda t: min(abs(t - NOW - d) for d in (-60, 60)) > 20),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(max_size=3),
    st.none(),
    st.booleans(),
)
anything = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=3)))


@given(
    st.fixed_dictionaries(
        {"sub": st.one_of(st.text(max_size=5), anything), "iat": times, "exp": times},
        optional={"nbf": times, "jti": anything, "sid": anything, "aud": anything, "iss": anything},
    )
)
def test_whatever_it_claims(claimed: dict[str, object]) -> None:
    """A rightly signed token that we take is one that PyJWT takes, for the same identity."""
    token = signed(claimed)
    found = ours(token)
    assert found is None or found == theirs(token)


@given(*[st.integers(-DAY, DAY).filter(lambda t: min(abs(t - d) for d in (-LEEWAY, LEEWAY)) > 20)] * 3)
def test_every_time_within_bounds(iat: int, exp: int, nbf: int) -> None:
    """Of numbers for times, we take what PyJWT takes, and that lives no longer than it may."""
    token = signed({"sub": "alice", "iat": NOW + iat, "exp": NOW + exp, "nbf": NOW + nbf})
    assert (ours(token) is not None) == (theirs(token) is not None and exp - iat <= DAY)


@given(st.data())
def test_not_a_byte_may_differ(data: st.DataObject) -> None:
    """A token with any character changed is refused, unless it only spells the end of the signature differently."""
    token = signed(claims())
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.characters(codec="ascii")) + token[at + 1 :]
    assert ours(changed) is None or changed == token or at == len(token) - 1


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "none"},
        {"alg": "hs256"},
        {"alg": "HS512"},
        {"alg": None},
        {"typ": "JWT"},
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "kid": 7},
        ["HS256"],
        "HS256",
    ],
)
def test_headers_that_do_not_hold(header: object) -> None:
    """Another algorithm, or an extension that must be understood, is refused however well it is signed."""
    assert ours(signed(claims(), header)) is None


@pytest.mark.parametrize("token", ["", "..", "a.b.c", "a.b", "a.b.c.d", "é.é.é", "a" * 100_000, "." * 1000, "[" * 5000])
def test_what_is_no_token(token: str) -> None:
    """Nonsense is refused, whatever its length."""
    assert ours(token) is None


def test_padding_and_the_standard_alphabet_are_refused() -> None:
    """A token is base64url without padding (RFC 7515, 2), and nothing else."""
    token = signed(claims(sid="????>>>>"))
    assert ours(token) == "alice"
    assert ours(token + "=") is None
    assert ours(token.replace("_", "/").replace("-", "+") + "/") is None


def test_either_of_two_secrets_holds() -> None:
    """While secrets rotate, tokens of both hold, and of no third."""
    token = jwt.encode(claims(), OTHER)
    assert ours(token, SECRET, OTHER) == ours(token, OTHER, SECRET) == "alice"
    assert ours(token, SECRET) is None


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ({"exp": NOW - 2 * LEEWAY, "iat": NOW - 3600}, "The token's exp has passed"),
        ({"exp": NOW + DAY + 1}, "The token lives longer than 86400 seconds"),
        ({"iat": -1}, "The token's iat is out of range"),
        ({"iat": 2**32, "exp": 2**32 + 60}, "The token's iat is out of range"),
        ({"iat": NOW + 3600}, "The token's iat or nbf is in the future"),
        ({"nbf": NOW + 3600}, "The token's iat or nbf is in the future"),
    ],
)
def test_who_has_signed_rightly_is_told_which_claim_does_not_hold(claimed: dict[str, object], said: str) -> None:
    """A clock that is off, or a token that was kept for too long, can be told from a wrong secret."""
    with pytest.raises(Unauthenticated, match=said):
        AppTokens((SECRET,), DAY).app(signed(claims(**claimed)))
    with pytest.raises(Unauthenticated, match=r"^Authenticate$"):
        AppTokens((OTHER,), DAY).app(signed(claims(**claimed)))


def test_a_remembered_token_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of a token ends with it, to the second of the leeway."""
    tokens, token = AppTokens((SECRET,), DAY), signed(claims())
    assert tokens.app(token) is tokens.app(token)
    monkeypatch.setattr(time, "time", lambda: NOW + 3600 + LEEWAY - 1.0)
    assert tokens.app(token).identity == "alice"
    monkeypatch.setattr(time, "time", lambda: NOW + 3600 + LEEWAY + 0.0)
    with pytest.raises(Unauthenticated):
        tokens.app(token)


def test_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest remembered goes first."""
    monkeypatch.setattr("service.api.app_tokens._REMEMBERED", 2)
    tokens = AppTokens((SECRET,), DAY)
    first, second, third = (signed(claims(jti=str(n))) for n in range(3))
    apps = [tokens.app(token) for token in (first, second, third)]
    assert tokens.app(third) is apps[2]
    assert tokens.app(second) is apps[1]
    assert tokens.app(first) is not apps[0]
