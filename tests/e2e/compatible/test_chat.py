"""The Chat Binding and User Binding resources, over bindings that came through registrations."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from service.domain.addresses import BindingType
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, ORIGIN, OTHER_CHAT, SERVICE, Api, drain, sids

PATH = f"/v2/Services/{CHAT}"
NOTIFY = f"/v1/Services/{SERVICE}/Bindings"
KEYS = [
    "sid", "account_sid", "service_sid", "date_created", "date_updated", "endpoint", "identity", "credential_sid",
    "binding_type", "message_types", "url", "links",
]  # fmt: skip
USER_KEYS = [
    "sid", "account_sid", "service_sid", "date_created", "date_updated", "endpoint", "identity", "user_sid",
    "credential_sid", "binding_type", "message_types", "url",
]  # fmt: skip
ALL_TYPES = ["removed_from_channel", "new_message", "added_to_channel", "invited_to_channel"]


def users_path(chat_path: str, user: str) -> str:
    """The bindings of a user."""
    return f"{chat_path}/Users/{quote(user, safe='@')}/Bindings"


async def test_fetch_a_chat_binding(api: Api, chat_path: str) -> None:
    """A Chat binding has the reference's 12 keys in their order."""
    sid = await api.bind_chat(
        "a user & co", "endpoint 1", credential_sid="CR" + "a" * 32, message_types=("new_message",)
    )
    answer = await api.get(f"{chat_path}/Bindings/{sid}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    binding = answer.json()
    assert list(binding) == KEYS
    for name in ("date_created", "date_updated"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", binding.pop(name))
    assert binding == {
        "sid": sid,
        "account_sid": ACCOUNT,
        "service_sid": CHAT,
        "endpoint": "endpoint 1",
        "identity": "a user & co",
        "credential_sid": "CR" + "a" * 32,
        "binding_type": "fcm",
        "message_types": ["new_message"],
        "url": f"{ORIGIN}{chat_path}/Bindings/{sid}",
        "links": {"user": f"{ORIGIN}{chat_path}/Users/a%20user%20%26%20co"},
    }


async def test_fetch_a_user_binding(api: Api, chat_path: str) -> None:
    """A User binding has the reference's 12 keys; its URL and user_sid bear the User SID, whatever was asked with."""
    sid = await api.bind_chat("alice", "endpoint 1", kind=BindingType.APN)
    user_sid = "US" + api.service.fingerprints.owner("alice").hex()
    for user in ("alice", user_sid, user_sid.replace("US", "us").upper()):
        answer = await api.get(f"{users_path(chat_path, user)}/{sid}")
        assert answer.status_code == 200
        binding = answer.json()
        assert list(binding) == USER_KEYS
        assert binding["user_sid"] == user_sid
        assert binding["message_types"] == ALL_TYPES
        assert (binding["binding_type"], binding["credential_sid"], binding["service_sid"]) == ("apn", None, CHAT)
        assert binding["url"] == f"{ORIGIN}{chat_path}/Users/{user_sid}/Bindings/{sid}"
        assert (await api.get(binding["url"])).json() == binding


@pytest.mark.parametrize(
    "identity", ["a user", "a@example.org", "été", "a/b", "100%25", "a+b", "Users", "Bindings", "?#"]
)
async def test_a_user_may_be_named_by_any_identity(api: Api, chat_path: str, identity: str) -> None:
    """An identity names a user however it must be encoded."""
    sid = await api.bind_chat(identity, "endpoint 1")
    path = users_path(chat_path, identity)
    assert sids(await api.walk(path)) == [sid]
    assert (await api.get(f"{path}/{sid}")).json()["identity"] == identity
    link = (await api.get(f"{chat_path}/Bindings/{sid}")).json()["links"]["user"]
    assert sids(await api.walk(f"{link}/Bindings")) == [sid]
    assert (await api.client.delete(f"{path}/{sid}")).status_code == 204
    assert await api.walk(path) == []


async def test_a_user_never_seen_is_not_found(api: Api, chat_path: str) -> None:
    """A user that the Service has never seen is a 404; one that has lost its bindings has an empty list."""
    answer = await api.get(users_path(chat_path, "nobody"))
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert (await api.get(users_path(chat_path, "US" + "0" * 32))).status_code == 404
    assert (await api.get(users_path(chat_path, "x" * 257))).status_code == 404
    sid = await api.bind_chat("alice", "endpoint 1")
    assert (await api.client.delete(f"{chat_path}/Bindings/{sid}")).status_code == 204
    answer = await api.get(users_path(chat_path, "alice"))
    assert (answer.status_code, answer.json()["bindings"]) == (200, [])


async def test_another_users_binding_is_not_found(api: Api, chat_path: str) -> None:
    """Beneath a user, only its own bindings are found and deleted."""
    sid = await api.bind_chat("alice", "endpoint 1")
    await api.bind_chat("bob", "endpoint 2")
    foreign = f"{users_path(chat_path, 'bob')}/{sid}"
    assert (await api.get(foreign)).status_code == 404
    assert (await api.client.delete(foreign)).status_code == 404
    assert (await api.get(f"{chat_path}/Bindings/{sid}")).status_code == 200


@pytest.mark.parametrize("beneath_user", [False, True])
async def test_delete(api: Api, chat_path: str, beneath_user: bool) -> None:
    """A deleted binding is gone everywhere, and reconciling does not bring it back."""
    sid = await api.bind_chat("alice", "endpoint 1")
    path = users_path(chat_path, "alice") if beneath_user else f"{chat_path}/Bindings"
    answer = await api.client.delete(f"{path}/{sid}")
    assert (answer.status_code, answer.content) == (204, b"")
    await drain(api.service)
    for gone in (f"{chat_path}/Bindings/{sid}", f"{users_path(chat_path, 'alice')}/{sid}"):
        assert (await api.get(gone)).status_code == 404
        assert (await api.client.delete(gone)).status_code == 404
    assert await api.walk(f"{chat_path}/Bindings") == []


async def test_lists_filter_by_type_and_identity(api: Api, chat_path: str) -> None:
    """BindingType and Identity filter alternatively each, and together; a lone value is a list."""
    made: dict[tuple[str, str], str] = {}
    for identity in ("alice", "bob"):
        for kind in (BindingType.APN, BindingType.FCM, BindingType.GCM):
            endpoint = f"{identity} {kind.value}"
            made[identity, kind.value] = await api.bind_chat(identity, endpoint, kind=kind)

    async def found(path: str, **params: Any) -> set[str]:
        return set(sids(await api.walk(path, **params)))

    everything = f"{chat_path}/Bindings"
    assert await found(everything) == set(made.values())
    assert await found(everything, BindingType="apn") == {made["alice", "apn"], made["bob", "apn"]}
    assert await found(everything, Identity="bob") == {sid for key, sid in made.items() if key[0] == "bob"}
    assert await found(everything, BindingType=["apn", "gcm"], Identity=["bob", "nobody"]) == {
        made["bob", "apn"], made["bob", "gcm"],
    }  # fmt: skip
    alices = users_path(chat_path, "alice")
    assert await found(alices) == {sid for key, sid in made.items() if key[0] == "alice"}
    assert await found(alices, BindingType=["fcm", "apn"]) == {made["alice", "fcm"], made["alice", "apn"]}


@pytest.mark.parametrize("value", ["sms", "twilsock", "APN", ""])
async def test_an_unknown_binding_type_is_refused(api: Api, chat_path: str, value: str) -> None:
    """Chat knows apn, gcm and fcm."""
    await api.bind_chat("alice", "endpoint 1")
    for path in (f"{chat_path}/Bindings", users_path(chat_path, "alice")):
        answer = await api.get(path, BindingType=["apn", value])
        assert (answer.status_code, answer.json()["code"]) == (400, 20001)
        assert answer.json()["message"].startswith("BindingType: ")


@pytest.mark.parametrize("user", [None, "alice", "sid"])
async def test_pages(api: Api, chat_path: str, user: str | None) -> None:
    """Pages lead on and back, keep their filters, have at most 50 bindings, and bear the User SID in their URLs."""
    made = {await api.bind_chat("alice", f"endpoint {n}") for n in range(7)}
    user_sid = "US" + api.service.fingerprints.owner("alice").hex()
    path = f"{chat_path}/Bindings"
    if user is not None:
        path = users_path(chat_path, "alice" if user == "alice" else user_sid)
    pages, url = [], f"{path}?PageSize=3&BindingType=fcm&BindingType=apn"
    while url:
        pages.append((await api.get(url)).json())
        url = pages[-1]["meta"]["next_page_url"]
    assert [len(page["bindings"]) for page in pages] == [3, 3, 1]
    assert {sid for page in pages for sid in sids(page["bindings"])} == made
    public = f"{chat_path}/Users/{user_sid}/Bindings" if user else f"{chat_path}/Bindings"
    assert pages[0]["meta"]["url"] == f"{ORIGIN}{public}?BindingType=fcm&BindingType=apn&PageSize=3&Page=0"
    back = (await api.get(pages[2]["meta"]["previous_page_url"])).json()
    assert sids(back["bindings"]) == sids(pages[1]["bindings"])
    assert (await api.get(path, PageSize=1000)).json()["meta"]["page_size"] == 50
    assert (await api.get(path, PageSize=0)).status_code == 400


async def test_deleting_while_paging_neither_skips_nor_repeats(api: Api, chat_path: str) -> None:
    """What is not deleted is shown exactly once."""
    made = {await api.bind_chat(f"user {n}", f"endpoint {n}") for n in range(10)}
    seen: list[str] = []
    page = (await api.get(f"{chat_path}/Bindings", PageSize=3)).json()
    while True:
        seen += sids(page["bindings"])
        following = page["meta"]["next_page_url"]
        if following is None:
            break
        for sid in sids(page["bindings"]):
            await api.client.delete(f"{chat_path}/Bindings/{sid}")
        page = (await api.get(following)).json()
    assert sorted(seen) == sorted(made)


async def test_tokens_are_for_their_own_list(api: Api, chat_path: str) -> None:
    """A token of one user's list is no good for another's, nor for the Service's, nor for Notify's."""
    for n in range(3):
        await api.bind_chat("alice", f"endpoint {n}")
        await api.bind_chat("bob", f"endpoint of bob {n}")
    user_sid = "US" + api.service.fingerprints.owner("alice").hex()
    alices = users_path(chat_path, "alice")
    following = (await api.get(alices, PageSize=1)).json()["meta"]["next_page_url"]
    token = following.rpartition("PageToken=")[2]
    assert (await api.get(alices, PageToken=token)).status_code == 200
    assert (await api.get(users_path(chat_path, user_sid), PageToken=token)).status_code == 200
    others = [users_path(chat_path, "bob"), f"{chat_path}/Bindings", NOTIFY, f"/v2/Services/{OTHER_CHAT}/Bindings"]
    for path in others:
        answer = await api.get(path, PageToken=token)
        assert (answer.status_code, answer.json()["code"]) == (400, 21481)
    answer = await api.get(alices, PageToken=token, BindingType="fcm")
    assert (answer.status_code, answer.json()["code"]) == (400, 21481)


async def test_notify_and_chat_never_show_in_each_others_lists(api: Api) -> None:
    """A Notify binding is no Chat binding, and the other way round."""
    chat_sid = await api.bind_chat("alice", "endpoint 1")
    notify_sid = (await api.create(NOTIFY)).json()["sid"]
    assert sids(await api.walk(NOTIFY)) == [notify_sid]
    assert sids(await api.walk(f"{PATH}/Bindings")) == [chat_sid]
    assert sids(await api.walk(users_path(PATH, "alice"))) == [chat_sid]
    assert (await api.get(f"{NOTIFY}/{chat_sid}")).status_code == 404
    assert (await api.get(f"{PATH}/Bindings/{notify_sid}")).status_code == 404


async def test_chat_bindings_are_unique_by_identity_endpoint_and_type(api: Api) -> None:
    """The same identity, endpoint and type has one binding; another type has its own."""
    await api.bind_chat("alice", "endpoint 1")
    again = await api.bind_chat("alice", "endpoint 1", message_types=("new_message",))
    other = await api.bind_chat("alice", "endpoint 1", kind=BindingType.GCM)
    listed = sids(await api.walk(f"{PATH}/Bindings"))
    assert set(listed) <= {again, other}
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        f"{PATH}/Bindings/BS{'0' * 32}",
        f"{PATH}/Bindings/x",
        f"{PATH}/Users/alice/Bindings/BS{'0' * 32}",
        f"{PATH}/Users/alice/Bindings/x",
        f"{PATH}/Users/nobody/Bindings/BS{'0' * 32}",
        f"/v2/Services/{SERVICE}/Bindings/BS{'0' * 32}",
        f"/v2/Services/IS0/Users/alice/Bindings/BS{'0' * 32}",
        f"{PATH}/Users/alice",
        f"{PATH}/Users/alice/Bindings/x/y",
        f"{PATH}/Users",
    ],
)
async def test_what_does_not_exist_is_not_found(api: Api, method: str, path: str) -> None:
    """Unknown and malformed SIDs, a Notify Service's SID, and paths of other forms are 404s in the vendor's words."""
    await api.bind_chat("alice", "endpoint 1")
    answer = await api.client.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["message"] == f"The requested resource {path} was not found"


async def test_a_binding_of_another_service_is_not_found(api: Api) -> None:
    """A Chat binding is found in its own Service only."""
    other = api.directory.by_chat_sid(OTHER_CHAT)
    assert other is not None
    sid = await api.bind_chat("alice", "endpoint 1", service=other)
    assert (await api.get(f"{PATH}/Bindings/{sid}")).status_code == 404
    assert (await api.get(f"{PATH}/Users/alice/Bindings")).status_code == 404
    assert (await api.get(f"/v2/Services/{OTHER_CHAT}/Bindings/{sid}")).json()["service_sid"] == OTHER_CHAT


@pytest.mark.parametrize("path", [f"{PATH}/Bindings", f"{PATH}/Users/alice/Bindings"])
async def test_there_is_no_create(api: Api, chat_path: str, path: str) -> None:
    """Chat bindings are not created here: 405."""
    answer = await api.client.post(path.replace(PATH, chat_path), data={"Identity": "alice"})
    assert (answer.status_code, answer.json()["code"]) == (405, 20004)
