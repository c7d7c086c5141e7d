"""The Notify Binding resource: create, fetch and delete, as the reference page and the SDKs have them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest

from tests.e2e.compatible.deployment import ACCOUNT, EVICTING, ORIGIN, OTHER, SERVICE, Api, path_of

PATH = f"/v1/Services/{SERVICE}/Bindings"
KEYS = [
    "sid", "account_sid", "service_sid", "credential_sid", "date_created", "date_updated",
    "notification_protocol_version", "endpoint", "identity", "binding_type", "address", "tags", "url", "links",
]  # fmt: skip


async def test_create_answers_the_resource(api: Api, notify_path: str) -> None:
    """A created binding has the reference's 14 keys in their order, and the values that were sent."""
    answer = await api.create(
        notify_path,
        Identity="a user & co",
        Address="Unit 3856 Box 3973\nDPO AA 31194",
        Tag=["one", "two words"],
        CredentialSid="CR" + "F" * 32,
        NotificationProtocolVersion="2",
        Endpoint="an endpoint",
    )
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    binding = answer.json()
    prefix = notify_path.partition("/v1/")[0]
    assert list(binding) == KEYS
    assert re.fullmatch("BS[0-9a-f]{32}", binding["sid"])
    created = binding.pop("date_created")
    assert binding.pop("date_updated") == created
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert abs((datetime.fromisoformat(created) - datetime.now(UTC)).total_seconds()) < 60
    assert binding == {
        "sid": binding["sid"],
        "account_sid": ACCOUNT,
        "service_sid": SERVICE,
        "credential_sid": "CR" + "F" * 32,
        "notification_protocol_version": "2",
        "endpoint": None,
        "identity": "a user & co",
        "binding_type": "apn",
        "address": "Unit 3856 Box 3973\nDPO AA 31194",
        "tags": ["one", "two words"],
        "url": f"{ORIGIN}{prefix}/v1/Services/{SERVICE}/Bindings/{binding['sid']}",
        "links": {"user": f"{ORIGIN}{prefix}/v1/Services/{SERVICE}/Users/a%20user%20%26%20co"},
    }


async def test_fetch_answers_what_create_did(api: Api, notify_path: str) -> None:
    """A binding is fetched at its URL, with the same keys and values."""
    created = (await api.create(notify_path, Tag="lone")).json()
    fetched = await api.get(created["url"])
    assert fetched.status_code == 200
    assert fetched.headers["content-type"] == "application/json; charset=utf-8"
    assert fetched.json() == created
    assert list(fetched.json()) == KEYS


async def test_unset_values_are_null(api: Api) -> None:
    """What was not set is null or empty, never absent."""
    binding = (await api.create(PATH, BindingType="sms", Address="+15005550006")).json()
    assert list(binding) == KEYS
    assert (binding["credential_sid"], binding["endpoint"], binding["tags"]) == (None, None, [])


@pytest.mark.parametrize(
    ("kind", "address", "version"),
    [
        ("apn", "a", "3"),
        ("fcm", "a", "3"),
        ("gcm", "a", "3"),
        ("sms", "+15005550006", None),
        ("facebook-messenger", "a", None),
        ("alexa", "a", None),
    ],
)
async def test_protocol_versions_default_by_type(api: Api, kind: str, address: str, version: str | None) -> None:
    """The push types default to protocol version "3", the others have none."""
    binding = (await api.create(PATH, BindingType=kind, Address=address)).json()
    assert (binding["binding_type"], binding["notification_protocol_version"]) == (kind, version)


async def test_protocol_versions_default_by_service(api: Api) -> None:
    """A Service has defaults of its own."""
    binding = (await api.create(f"/v1/Services/{OTHER}/Bindings")).json()
    assert binding["notification_protocol_version"] == "2"


async def test_delete(api: Api, notify_path: str) -> None:
    """A deleted binding is gone: 204 without a body, then 404."""
    url = (await api.create(notify_path)).json()["url"]
    answer = await api.client.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.get(url)).status_code == 404
    assert (await api.client.delete(url)).status_code == 404
    assert await api.walk(notify_path) == []


async def test_the_same_address_replaces(api: Api, notify_path: str) -> None:
    """Creating an address again, of whatever type and for whomever, replaces its binding: the old SID is a 404."""
    first = (await api.create(notify_path, Identity="alice", BindingType="apn")).json()
    second = (await api.create(notify_path, Identity="bob", BindingType="fcm")).json()
    third = (await api.create(notify_path, Identity="alice", BindingType="apn")).json()
    assert len({first["sid"], second["sid"], third["sid"]}) == 3
    for gone in (first, second):
        assert (await api.get(gone["url"])).status_code == 404
        assert (await api.client.delete(gone["url"])).status_code == 404
    assert await api.walk(notify_path) == [third]


async def test_an_identical_create_works(api: Api) -> None:
    """Creating the very same binding again works, and leaves one."""
    first = (await api.create(PATH, Tag="a")).json()
    again = await api.create(PATH, Tag="a")
    assert again.status_code == 201
    assert [b["address"] for b in await api.walk(PATH)] == [first["address"]]


async def test_a_refused_create_replaces_nothing(api: Api) -> None:
    """A refused create leaves the address with its owner."""
    kept = (await api.create(PATH, Identity="alice")).json()
    for n in range(20):
        assert (await api.create(PATH, Identity="bob", Address=f"bob's {n}")).status_code == 201
    assert (await api.create(PATH, Identity="bob")).status_code == 400
    assert (await api.create(PATH, Identity="bob", Tag=["t"] * 21)).status_code == 400
    assert (await api.get(kept["url"])).json() == kept


async def test_the_21st_address_is_refused(api: Api, notify_path: str) -> None:
    """An identity has at most 20 bindings in a Service; the same address again is none more."""
    for n in range(20):
        assert (await api.create(notify_path, Address=f"address {n}")).status_code == 201
    answer = await api.create(notify_path, Address="address 20")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert (await api.create(notify_path, Address="address 7", BindingType="fcm")).status_code == 201
    assert (await api.create(notify_path, Identity="bob", Address="address 20")).status_code == 201
    assert (await api.create(f"/v1/Services/{OTHER}/Bindings", Address="address 20")).status_code == 201


async def test_the_cap_is_exact_under_concurrency(api: Api) -> None:
    """Of 40 creates at once, 20 are taken."""
    answers = await asyncio.gather(*(api.create(PATH, Address=f"address {n}") for n in range(40)))
    assert sorted(a.status_code for a in answers) == [201] * 20 + [400] * 20
    assert len(await api.walk(PATH)) == 20


async def test_the_21st_address_may_evict(api: Api) -> None:
    """Where the Service says so, the 21st address takes the place of the oldest."""
    path = f"/v1/Services/{EVICTING}/Bindings"
    for n in range(21):
        assert (await api.create(path, Address=f"address {n}")).status_code == 201
    assert {b["address"] for b in await api.walk(path)} == {f"address {n}" for n in range(1, 21)}


@pytest.mark.parametrize("name", ["Identity", "BindingType", "Address"])
@pytest.mark.parametrize("value", [None, ""])
async def test_a_missing_parameter_is_named(api: Api, notify_path: str, name: str, value: str | None) -> None:
    """A required parameter that is missing or empty is named."""
    answer = await api.create(notify_path, **{name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert name in answer.json()["message"]
    assert await api.walk(notify_path) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BindingType", "web"),
        ("BindingType", "APN"),
        ("Identity", "x" * 257),
        ("Identity", "US" + "a" * 32),
        ("Address", "x" * 4097),
        ("Tag", [f"tag {n}" for n in range(21)]),
        ("Tag", "x" * 129),
        ("Tag", ["fine", ""]),
        ("CredentialSid", "CR123"),
        ("CredentialSid", "IS" + "a" * 32),
        ("NotificationProtocolVersion", "x" * 17),
    ],
)
async def test_a_bad_value_is_named_and_not_repeated(api: Api, name: str, value: object) -> None:
    """A bad value is refused, naming its parameter, and changes nothing."""
    answer = await api.create(PATH, **{name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert answer.json()["message"].startswith(f"{name}: ")
    assert "xxx" not in answer.text
    assert await api.walk(PATH) == []


async def test_a_tag_that_is_given_twice_counts_once(api: Api) -> None:
    """In the order in which each came first."""
    assert (await api.create(PATH, Tag=["b", "a", "b"])).json()["tags"] == ["b", "a"]


async def test_20_tags_of_full_length_pass(api: Api) -> None:
    """20 tags are allowed."""
    tags = [f"{n:02}" + "x" * 126 for n in range(20)]
    assert (await api.create(PATH, Tag=tags)).json()["tags"] == tags


@pytest.mark.parametrize("address", ["15005550006", "+05005550006", "+1500555000x", "+1", "+" + "1" * 16])
async def test_a_phone_number_is_e164(api: Api, address: str) -> None:
    """An SMS address has E.164 form; the error does not repeat the number."""
    answer = await api.create(PATH, BindingType="sms", Address=address)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert "Address" in answer.json()["message"]
    assert address not in answer.text.replace("+15005550006", "")


async def test_apns_case_means_nothing(api: Api) -> None:
    """An APNs token in another case is the same address, and is answered folded; an FCM token is not."""
    upper, lower = "AB" * 32, "ab" * 32
    assert (await api.create(PATH, Address=f"<{upper}>")).json()["address"] == lower
    assert (await api.create(PATH, Address=lower)).json()["address"] == lower
    assert len(await api.walk(PATH)) == 1
    for address in ("fcm:Token", "fcm:token"):
        assert (await api.create(PATH, BindingType="fcm", Address=address)).json()["address"] == address
    assert len(await api.walk(PATH)) == 3


async def test_unknown_parameters_are_ignored_and_the_last_of_two_wins(api: Api) -> None:
    """As with the vendor, unknown parameters are ignored; of a single value given twice, the last counts."""
    answer = await api.create(PATH, Unknown="x", Identity=["alice", "bob"])
    assert (answer.status_code, answer.json()["identity"]) == (201, "bob")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        f"/v1/Services/{SERVICE}/Bindings/BS{'0' * 32}",
        f"/v1/Services/{SERVICE}/Bindings/BS0",
        f"/v1/Services/{SERVICE}/Bindings/{'x' * 5000}",
        f"/v1/Services/IS{'9' * 32}/Bindings/BS{'0' * 32}",
        "/v1/Services/default/Bindings/BS0",
    ],
)
async def test_unknown_and_malformed_sids_are_not_found(api: Api, method: str, path: str) -> None:
    """A SID that is unknown or malformed is a 404, in the vendor's words."""
    answer = await api.client.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {
        "code": 20404,
        "message": f"The requested resource {path} was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


async def test_an_unknown_service_is_not_found(api: Api) -> None:
    """Nothing can be created or listed in a Service that does not exist; the query is no part of the message."""
    path = f"/v1/Services/IS{'9' * 32}/Bindings"
    assert (await api.create(path)).status_code == 404
    answer = await api.get(path, Identity="secret")
    assert answer.json()["message"] == f"The requested resource {path} was not found"


async def test_a_sid_of_another_service_is_not_found(api: Api) -> None:
    """A binding is found in its own Service only."""
    created = (await api.create(PATH)).json()
    foreign = path_of(created["url"]).replace(SERVICE, OTHER)
    assert (await api.get(foreign)).status_code == 404
    assert (await api.client.delete(foreign)).status_code == 404
    assert (await api.get(created["url"])).json() == created
