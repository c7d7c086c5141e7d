"""Lookups, for senders."""

from urllib.parse import quote

import pytest

from tests.e2e.native.callers import FCM, Native, app_token, problem_of


async def test_many_identities_in_the_order_asked_for(native: Native) -> None:
    """A lookup answers each identity in order, the unknown ones with nothing."""
    await native.register()
    await native.register(identity="bob", binding_type="fcm", address=FCM, device_id="tablet")
    answer = await native.call("POST", "/v1/lookups", json={"identities": ["bob", "nobody", "alice"]})
    assert answer.status_code == 200
    found = answer.json()["identities"]
    assert [(i["identity"], len(i["bindings"])) for i in found] == [("bob", 1), ("nobody", 0), ("alice", 1)]
    assert found[0]["bindings"][0]["address"] == FCM


async def test_an_identity_that_is_asked_for_twice_is_answered_twice(native: Native) -> None:
    """What comes back goes with what was asked for, one by one."""
    await native.register()
    answer = await native.call("POST", "/v1/lookups", json={"identities": ["alice", "bob", "alice"]})
    first, other, second = answer.json()["identities"]
    assert (first["identity"], len(first["bindings"]), other["identity"]) == ("alice", 1, "bob")
    assert second == first


async def test_desired_state_at_once(native: Native) -> None:
    """A lookup shows what is desired, each entry with its state, before any worker runs."""
    await native.register()
    [binding] = await native.bindings("alice")
    assert binding["state"] == "pending"
    await native.register(identity="bob")
    assert await native.bindings("alice") == []


async def test_only_servers_may(native: Native) -> None:
    """Lookups are 403 to apps."""
    for method, path in (("GET", "/v1/identities/alice/bindings"), ("POST", "/v1/lookups")):
        answer = await native.call(method, path, token=app_token("alice"), json={"identities": ["alice"]})
        assert (answer.status_code, problem_of(answer)) == (403, "forbidden")


@pytest.mark.parametrize("identities", [[], ["x"] * 1001, [""], [1], "alice", None, ["US" + "0" * 32]])
async def test_bad_lookups(native: Native, identities: object) -> None:
    """No identities, more than 1,000, or something else than identities: 400."""
    answer = await native.call("POST", "/v1/lookups", json={"identities": identities})
    assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")


async def test_a_thousand_at_once(native: Native) -> None:
    """A thousand identities are one call."""
    identities = [f"user-{n}" for n in range(1000)]
    answer = await native.call("POST", "/v1/lookups", json={"identities": identities})
    assert [i["identity"] for i in answer.json()["identities"]] == identities


@pytest.mark.parametrize("identity", ["with space", "ünïcode-名前", "a@b", "a+b&c", "a/b", "/bindings/", "a?b"])
async def test_identities_of_all_kinds(native: Native, identity: str) -> None:
    """An identity is any text; in a path it is percent-encoded."""
    await native.register(identity=identity)
    answer = await native.call("POST", "/v1/lookups", json={"identities": [identity]})
    assert len(answer.json()["identities"][0]["bindings"]) == 1
    assert len(await native.bindings(quote(identity, safe=""))) == 1
