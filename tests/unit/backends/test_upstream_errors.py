from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest

from service.backends.twilio import NotItsTurn, OutcomeUnknown, Refused, UpstreamError
from service.backends.twilio.errors import AccountRefused, NotTheApi, Throttled, of_answer

TOKEN = "fTn0:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, NotTheApi), (400, Refused), (401, AccountRefused), (403, NotTheApi), (404, NotTheApi),
        (405, NotTheApi), (407, NotTheApi),
        (408, NotItsTurn), (409, NotTheApi), (413, Refused), (415, NotTheApi), (425, NotTheApi),
        (429, Throttled), (500, OutcomeUnknown),
        (502, OutcomeUnknown), (503, OutcomeUnknown), (504, OutcomeUnknown),
    ],
)  # fmt: skip
def test_a_status_says_what_came_of_it(status: int, kind: type[UpstreamError]) -> None:
    """4xx is final but for what is not about the request; of a 5xx nobody can say whether it took effect.

    Nor of what is not the API's own: redirects, and what is not about the request's content, without its code.
    """
    assert type(of_answer(status, b"", None, ())) is kind


@pytest.mark.parametrize("status", [405, 409, 415])
def test_of_the_api_itself_it_is_final(status: int) -> None:
    """With its code."""
    assert type(of_answer(status, b'{"code": 20004}', None, ())) is Refused


@pytest.mark.parametrize(
    ("body", "missing"), [(b'{"code": 20404}', True), (b'{"code": 404}', False), (b"<html>not found", False)]
)
def test_only_the_api_itself_can_say_that_there_is_nothing(body: bytes, missing: bool) -> None:
    """A proxy that answers 404 while what is behind it is away would have bindings forgotten that are there."""
    error = of_answer(404, body, None, ())
    assert (isinstance(error, Refused) and error.missing) is missing
    assert isinstance(error, OutcomeUnknown) is not missing


def test_only_the_api_itself_can_refuse_an_account() -> None:
    """A firewall's 403 is about one request's content, and no reason to leave the account alone."""
    assert isinstance(of_answer(403, b'{"code": 20403, "message": "Forbidden"}', None, ()), AccountRefused)
    assert isinstance(of_answer(403, b"<html>blocked", None, ()), NotTheApi)


def test_code_and_message_come_through() -> None:
    """A dead letter says what the upstream said."""
    body = b'{"code": 20001, "message": "Identity has too many bindings", "more_info": "https://x", "status": 400}'
    refused = of_answer(400, body, None, ())
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message) == (20001, "Identity has too many bindings")
    assert str(refused) == refused.reason == "400/20001 Identity has too many bindings"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": "x"}', b"\xff", b'{"code": 1'])
def test_a_body_of_another_form_is_no_error_of_ours(body: bytes) -> None:
    """Whatever stands between may answer in its own words."""
    assert of_answer(400, body, None, ()).reason == "400"


@pytest.mark.parametrize(
    "message",
    [
        f"Address {TOKEN} is not valid",
        f"Address {TOKEN.upper()} is not valid",
        f"'{TOKEN[:24]}…' is not valid",
        f'address="{TOKEN[5:]}" is not valid',
        f"Address={quote(TOKEN, safe='')}&Tag=a is not valid",
        f"Address:{TOKEN[:24]} is not valid",
        f"Tag=a&Address={quote(TOKEN, safe='').lower()[:30]} is not valid",
    ],
)
def test_an_address_is_not_quoted(message: str) -> None:
    """Not whole, not in another case, and not a long piece of it."""
    body = b'{"code": 20001, "message": "%s"}' % message.replace('"', '\\"').encode()
    reason = of_answer(400, body, None, (TOKEN,)).reason
    assert "is not valid" in reason
    assert TOKEN[5:20].casefold() not in reason.casefold()


@pytest.mark.parametrize("said", ["%2B491701234567", "+49 and 491701234567", "tel:+491701234567"])
def test_nor_is_a_number(said: str) -> None:
    """However it is spelt; what stands around it is."""
    reason = of_answer(
        400, b'{"code": 20001, "message": "Bad %s given"}' % said.encode(), None, ("+491701234567",)
    ).reason
    assert reason.startswith("400/20001 Bad ")
    assert reason.endswith(" given")
    assert "4917012345" not in reason


def test_a_long_message_is_cut() -> None:
    """Dead letters stay small."""
    assert len(of_answer(400, b'{"message": "%s"}' % (b"word " * 500), None, ()).reason) < 220


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("86400", 300.0),
        ("soon", None),
        ("nan", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    """Bounded: an upstream may not stop us for a day."""
    assert of_answer(429, b"", header, ()).retry_after == seconds


def test_retry_after_as_a_date() -> None:
    """The other form that RFC 9110 allows."""
    seconds = of_answer(
        503, b"", format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True), ()
    ).retry_after
    assert seconds is not None
    assert 55 < seconds <= 60
