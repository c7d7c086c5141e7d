"""A binding that came through a registration and one that was created here are the same kind of thing."""

from __future__ import annotations

from service.domain.addresses import BindingType
from service.domain.record import Channel
from service.usecases import ending
from service.usecases.registering import Request, register
from tests.e2e.compatible.deployment import CHAT, SERVICE, Api, drain, sids

NOTIFY = f"/v1/Services/{SERVICE}/Bindings"
CHATS = f"/v2/Services/{CHAT}/Bindings"
TOKEN = "token:of-a-device"
BOTH = Channel.NOTIFY | Channel.CHAT


def wanted(identity: str, address: str = TOKEN, channels: Channel = BOTH) -> Request:
    """What an app asks for when its user logs in."""
    return Request(
        identity=identity, kind=BindingType.FCM, address=address, device_id="a device", channels=channels, tags=("app",)
    )


async def test_a_registration_shows_once_it_is_applied(api: Api) -> None:
    """A registration is no binding before it is applied; then it is one like any other."""
    await register(api.service, wanted("alice"))
    assert await api.walk(NOTIFY) + await api.walk(CHATS) == []
    await drain(api.service)
    [binding] = await api.walk(NOTIFY)
    assert (binding["identity"], binding["address"], binding["tags"]) == ("alice", TOKEN, ["app"])
    assert (await api.get(binding["url"])).json() == binding
    [chat] = await api.walk(CHATS)
    assert (chat["identity"], chat["binding_type"]) == ("alice", "fcm")


async def test_deleting_it_here_takes_it_out_for_good(api: Api) -> None:
    """A binding deleted here leaves the desired state: no worker makes it again, and its other channel stays."""
    await register(api.service, wanted("alice"))
    await drain(api.service)
    [binding], [chat] = await api.walk(NOTIFY), await api.walk(CHATS)
    assert (await api.client.delete(binding["url"])).status_code == 204
    await drain(api.service)
    assert await api.walk(NOTIFY) == []
    assert sids(await api.walk(CHATS)) == [chat["sid"]]


async def test_a_takeover_leaves_nothing_behind_here(api: Api) -> None:
    """Once another identity has registered or created the address, nothing here shows it for the former one."""
    await register(api.service, wanted("alice"))
    await drain(api.service)
    [old], [old_chat] = await api.walk(NOTIFY), await api.walk(CHATS)
    await register(api.service, wanted("bob"))
    assert [b["identity"] for b in await api.walk(NOTIFY) + await api.walk(CHATS) if b["identity"] == "alice"] == []
    assert (await api.get(old["url"])).status_code == 404
    assert (await api.get(old_chat["url"])).status_code == 404
    created = (await api.create(NOTIFY, Identity="carol", BindingType="fcm", Address=TOKEN)).json()
    assert await api.walk(NOTIFY) == [created]
    assert await api.walk(CHATS) == []


async def test_a_logout_leaves_nothing_behind_here(api: Api) -> None:
    """Once a logout has been answered, nothing here shows the device, however far behind workers are."""
    await register(api.service, wanted("alice"))
    await drain(api.service)
    [old], [old_chat] = await api.walk(NOTIFY), await api.walk(CHATS)
    assert await ending.log_out_device(api.service, "alice", "a device", session=None) == 1
    assert await api.walk(NOTIFY) + await api.walk(CHATS) == []
    for url in (old["url"], old_chat["url"]):
        assert (await api.get(url)).status_code == 404
        assert (await api.client.delete(url)).status_code == 404


async def test_a_create_here_keeps_the_device(api: Api) -> None:
    """A create for the same identity keeps the device and the Chat binding: the device's logout still ends both."""
    await register(api.service, wanted("alice"))
    await drain(api.service)
    await api.create(NOTIFY, Identity="alice", BindingType="fcm", Address=TOKEN, Tag="server")
    await drain(api.service)
    assert [b["tags"] for b in await api.walk(NOTIFY)] == [["server"]]
    assert len(await api.walk(CHATS)) == 1
    assert await ending.log_out_device(api.service, "alice", "a device", session=None) == 1
    assert await api.walk(NOTIFY) + await api.walk(CHATS) == []


async def test_a_pending_change_leaves_the_last_one_visible(api: Api) -> None:
    """While a change by the same owner is pending, the binding that was applied last stays visible."""
    await register(api.service, wanted("alice", channels=Channel.NOTIFY))
    await drain(api.service)
    [before] = await api.walk(NOTIFY)
    changed = Request(identity="alice", kind=BindingType.FCM, address=TOKEN, device_id="a device", tags=("new",))
    await register(api.service, changed)
    assert await api.walk(NOTIFY) == [before]
    await drain(api.service)
    [after] = await api.walk(NOTIFY)
    assert (after["tags"], after["sid"] != before["sid"]) == (["new"], True)
    assert (await api.get(before["url"])).status_code == 404
