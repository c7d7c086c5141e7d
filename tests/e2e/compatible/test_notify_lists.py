"""Lists of Notify bindings: filters, pages and the way through them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.e2e.compatible.deployment import ORIGIN, OTHER, SERVICE, Api, sids

PATH = f"/v1/Services/{SERVICE}/Bindings"
META = ["page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"]


async def fill(api: Api, count: int, path: str = PATH, **fields: object) -> list[dict[str, Any]]:
    """Bindings of as many identities."""
    answers = [
        await api.create(path, **{"Identity": f"user {n}", "Address": f"address {n}", **fields}) for n in range(count)
    ]
    return [answer.json() for answer in answers]


def query_of(url: str) -> list[tuple[str, str]]:
    """The decoded parameters of a URL."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)


async def test_an_empty_list(api: Api, notify_path: str) -> None:
    """An empty list has its meta all the same, as in the reference's example."""
    answer = await api.get(notify_path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    page = answer.json()
    assert list(page["meta"]) == META
    here = f"{ORIGIN}{notify_path}?PageSize=50&Page=0"
    assert page == {
        "bindings": [],
        "meta": {
            "page": 0,
            "page_size": 50,
            "first_page_url": here,
            "previous_page_url": None,
            "url": here,
            "next_page_url": None,
            "key": "bindings",
        },
    }


async def test_a_list_shows_whole_bindings(api: Api, notify_path: str) -> None:
    """What a list shows of a binding is what fetch shows."""
    created = await fill(api, 3, notify_path, Tag=["a", "b"])
    listed = await api.walk(notify_path)
    assert sorted(sids(listed)) == sorted(sids(created))
    for binding in listed:
        assert (await api.get(binding["url"])).json() == binding


async def test_a_content_type_without_a_body_is_no_error(api: Api) -> None:
    """twilio-python sends a form's content type on lists, and no body."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await api.client.get(PATH, headers=headers)).status_code == 200


async def test_a_service_lists_its_own(api: Api) -> None:
    """A Service lists its own bindings only."""
    await fill(api, 2)
    assert await api.walk(f"/v1/Services/{OTHER}/Bindings") == []


async def test_identities_filter_alternatively(api: Api, notify_path: str) -> None:
    """Bindings of any of the identities are listed; one identity alone is a list too."""
    created = await fill(api, 4, notify_path)
    assert sids(await api.walk(notify_path, Identity="user 2")) == [created[2]["sid"]]
    both = await api.walk(notify_path, Identity=["user 1", "user 3", "nobody", "user 1"])
    assert sorted(sids(both)) == sorted([created[1]["sid"], created[3]["sid"]])
    assert await api.walk(notify_path, Identity="nobody") == []


@pytest.mark.parametrize("encoded", ["user+1", "user%201"])
async def test_a_space_is_encoded_either_way(api: Api, encoded: str) -> None:
    """In a query, a space may be a plus sign or ``%20``."""
    created = await fill(api, 2)
    assert sids(await api.walk(f"{PATH}?Identity={encoded}")) == [created[1]["sid"]]


async def test_all_tags_must_match(api: Api) -> None:
    """With several Tag filters, a binding must have all of them."""
    tagged = {
        name: (await api.create(PATH, Address=name, Tag=list(name))).json()["sid"] for name in ("a", "ab", "abc", "c")
    }
    assert set(sids(await api.walk(PATH, Tag="a"))) == {tagged["a"], tagged["ab"], tagged["abc"]}
    assert set(sids(await api.walk(PATH, Tag=["a", "b"]))) == {tagged["ab"], tagged["abc"]}
    assert set(sids(await api.walk(PATH, Tag=["c", "a", "b"]))) == {tagged["abc"]}
    assert await api.walk(PATH, Tag=["a", "x"]) == []


@pytest.mark.parametrize("kind", ["apn", "fcm", "gcm", "sms", "facebook-messenger", "alexa"])
async def test_types_are_implicit_tags(api: Api, kind: str) -> None:
    """A binding has its type and ``all`` as tags, which it does not list."""
    for n, other in enumerate(["apn", "fcm", "gcm", "sms", "facebook-messenger", "alexa"]):
        await api.create(PATH, BindingType=other, Address=f"+1500555000{n}", Tag="own")
    [found] = await api.walk(PATH, Tag=[kind, "all", "own"])
    assert (found["binding_type"], found["tags"]) == (kind, ["own"])
    assert len(await api.walk(PATH, Tag="all")) == 6


async def test_more_than_5_tags_are_refused(api: Api) -> None:
    """Up to 5 Tag filters are allowed."""
    assert (await api.get(PATH, Tag=list("abcde"))).status_code == 200
    answer = await api.get(PATH, Tag=list("abcdef"))
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert answer.json()["message"].startswith("Tag: ")


async def test_days_are_inclusive(api: Api) -> None:
    """StartDate and EndDate are days in UTC, both inclusive, on the day of creation."""
    [binding] = await fill(api, 1)
    today = date.fromisoformat(binding["date_created"][:10])
    before, after = str(today - timedelta(1)), str(today + timedelta(1))
    for start, end, found in [
        (today, today, 1), (before, None, 1), (None, after, 1), (before, after, 1), (after, None, 0), (None, before, 0),
        (after, before, 0),
    ]:  # fmt: skip
        params = {name: str(day) for name, day in (("StartDate", start), ("EndDate", end)) if day}
        assert len(await api.walk(PATH, **params)) == found, params


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StartDate", "2015-13-01"),
        ("EndDate", "yesterday"),
        ("PageSize", "0"),
        ("PageSize", "-1"),
        ("PageSize", "many"),
        ("Page", "-1"),
        ("Page", "x"),
        ("Identity", "x" * 257),
        ("Tag", "x" * 129),
        ("Tag", "\0"),
    ],
)
async def test_bad_values_are_named(api: Api, name: str, value: str) -> None:
    """A parameter with a bad value is named."""
    answer = await api.get(PATH, **{name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert answer.json()["message"].startswith(f"{name}: ")


async def test_a_query_in_another_encoding_is_refused(api: Api) -> None:
    """A query that is not UTF-8 is refused."""
    answer = await api.get(f"{PATH}?Identity=%FF")
    assert (answer.status_code, answer.json()["message"]) == (400, "Identity: must be UTF-8")


@pytest.mark.parametrize(("asked", "size"), [("7", 7), ("1000", 1000), ("1001", 1000), ("9" * 30, 1000)])
async def test_a_page_size_is_clamped(api: Api, notify_path: str, asked: str, size: int) -> None:
    """A page has at most 1000 bindings; more is clamped, never refused."""
    meta = (await api.get(notify_path, PageSize=asked)).json()["meta"]
    assert meta["page_size"] == size
    assert meta["first_page_url"] == f"{ORIGIN}{notify_path}?PageSize={size}&Page=0"


async def test_pages_lead_on_and_back(api: Api, notify_path: str) -> None:
    """Following next_page_url shows everything once; following previous_page_url shows the same pages backwards."""
    created = await fill(api, 11, notify_path)
    pages, url = [], f"{notify_path}?PageSize=4"
    while url:
        page = (await api.get(url)).json()
        assert (await api.get(page["meta"]["url"])).json() == page
        pages.append(page)
        url = page["meta"]["next_page_url"]
    assert [len(page["bindings"]) for page in pages] == [4, 4, 3]
    assert [page["meta"]["page"] for page in pages] == [0, 1, 2]
    assert sorted(sid for page in pages for sid in sids(page["bindings"])) == sorted(sids(created))
    assert pages[0]["meta"]["previous_page_url"] is None
    back, url = [pages[-1]], pages[-1]["meta"]["previous_page_url"]
    while url:
        back.append((await api.get(url)).json())
        url = back[-1]["meta"]["previous_page_url"]
    assert [sids(page["bindings"]) for page in back] == [sids(page["bindings"]) for page in reversed(pages)]
    assert [page["meta"]["page"] for page in back] == [2, 1, 0]
    again = (await api.get(back[-1]["meta"]["next_page_url"])).json()
    assert sids(again["bindings"]) == sids(pages[1]["bindings"])


async def test_a_full_last_page_ends_the_list(api: Api) -> None:
    """A last page that is full has no next one."""
    await fill(api, 4)
    first = (await api.get(PATH, PageSize=2)).json()
    second = (await api.get(first["meta"]["next_page_url"])).json()
    assert (len(second["bindings"]), second["meta"]["next_page_url"]) == (2, None)


async def test_every_filter_is_kept(api: Api, notify_path: str) -> None:
    """The URLs of a page keep its filters and its size, and add only Page and PageToken."""
    for n in range(5):
        await api.create(notify_path, Address=f"a{n}", Identity="a & b/ü", Tag=["x+y", "z"])
    day = date.fromisoformat((await api.walk(notify_path))[0]["date_created"][:10])
    filters = {"StartDate": str(day), "EndDate": str(day), "Identity": ["a & b/ü"], "Tag": ["x+y", "z", "all"]}
    page = (await api.get(notify_path, **filters, PageSize=2)).json()
    kept = sorted(
        [("StartDate", str(day)), ("EndDate", str(day)), ("Identity", "a & b/ü"), ("Tag", "x+y"), ("Tag", "z"),
         ("Tag", "all"), ("PageSize", "2")]
    )  # fmt: skip
    meta = page["meta"]
    for name, number in (("first_page_url", "0"), ("url", "0"), ("next_page_url", "1")):
        query = dict(query_of(meta[name]))
        assert query["Page"] == number
        assert ("PageToken" in query) == (name == "next_page_url")
        assert sorted(p for p in query_of(meta[name]) if p[0] not in ("Page", "PageToken")) == kept
        assert meta[name].startswith(f"{ORIGIN}{notify_path}?")
    assert len(await api.walk(notify_path, **filters, PageSize=2)) == 5


async def test_deleting_while_paging_neither_skips_nor_repeats(api: Api, notify_path: str) -> None:
    """What is not deleted is shown exactly once, whatever else is deleted on the way."""
    created = set(sids(await fill(api, 20, notify_path)))
    seen: list[str] = []
    page = (await api.get(notify_path, PageSize=3)).json()
    while True:
        shown = sids(page["bindings"])
        seen += shown
        following = page["meta"]["next_page_url"]
        if following is None:
            break
        # All that was shown goes, the binding that the token names included.
        for sid in shown:
            assert (await api.client.delete(f"{notify_path}/{sid}")).status_code == 204
        page = (await api.get(following)).json()
    assert len(seen) == 20
    assert set(seen) == created


async def test_what_is_deleted_ahead_is_not_shown(api: Api) -> None:
    """What is deleted before its page comes is not shown, and costs its neighbours nothing."""
    await fill(api, 9)
    everything = sids(await api.walk(PATH))
    first = (await api.get(PATH, PageSize=3)).json()
    for sid in everything[3:5]:
        await api.client.delete(f"{PATH}/{sid}")
    rest = await api.walk(first["meta"]["next_page_url"])
    assert sids(rest) == everything[5:]


async def test_the_way_back_from_an_emptied_page_skips_nothing(api: Api) -> None:
    """Where a page has emptied, its previous page still ends with the binding right before it."""
    await fill(api, 6)
    everything = sids(await api.walk(PATH))
    first = (await api.get(PATH, PageSize=3)).json()
    for sid in everything[3:]:
        await api.client.delete(f"{PATH}/{sid}")
    emptied = (await api.get(first["meta"]["next_page_url"])).json()
    assert (emptied["bindings"], emptied["meta"]["next_page_url"]) == ([], None)
    back = (await api.get(emptied["meta"]["previous_page_url"])).json()
    assert sids(back["bindings"]) == everything[:3]


async def test_page_alone_decides_nothing(api: Api) -> None:
    """Page is the client's state: without a token, any Page is the first."""
    await fill(api, 3)
    first = (await api.get(PATH, PageSize=2)).json()
    other = (await api.get(PATH, PageSize=2, Page=5)).json()
    assert other["bindings"] == first["bindings"]
    assert other["meta"]["page"] == 5


async def test_forged_and_foreign_tokens_are_refused(api: Api, notify_path: str) -> None:
    """A PageToken is good for the list that it was made for, and no other."""
    await fill(api, 3, notify_path, Tag=["a", "b"])
    following = (await api.get(notify_path, Tag=["a", "b"], PageSize=1)).json()["meta"]["next_page_url"]
    token = dict(query_of(following))["PageToken"]
    good = {"Tag": ["a", "b"], "PageToken": token}
    assert (await api.get(notify_path, **good)).status_code == 200
    assert (await api.get(notify_path, Tag=["b", "a"], PageToken=token, PageSize=2)).status_code == 200
    end = "B" if token[-1] == "A" else "A"
    for params in (
        {"Tag": ["a", "b"], "PageToken": token[:-1] + end},
        {"Tag": ["a", "b"], "PageToken": ""},
        {"Tag": ["a", "b"], "PageToken": "x" * 3000},
        {"Tag": ["a"], "PageToken": token},
        {"PageToken": token},
        {**good, "Identity": "user 1"},
        {**good, "StartDate": "2015-07-30"},
    ):
        answer = await api.get(notify_path, **params)
        assert (answer.status_code, answer.json()["code"]) == (400, 21481), params
    foreign = await api.get(f"/v1/Services/{OTHER}/Bindings", **good)
    assert (foreign.status_code, foreign.json()["code"]) == (400, 21481)
