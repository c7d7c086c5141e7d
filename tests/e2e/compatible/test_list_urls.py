"""The URLs of a list can be asked for, at the limits of what a list may be asked for."""

from __future__ import annotations

import pytest

from service.domain.limits import LIST_FILTERS
from tests.e2e.compatible.deployment import CHAT, SERVICE, Api

PATH = f"/v1/Services/{SERVICE}/Bindings"
CHAT_PATH = f"/v2/Services/{CHAT}/Bindings"


async def test_a_list_with_as_many_filters_as_may_be_has_all_its_pages(api: Api) -> None:
    """Its URLs are longer than what was asked, by PageSize, Page and PageToken."""
    for n in range(3):
        await api.create(PATH, Identity=f"user {n}", Address=f"address {n}")
    asked = [f"user {n}" for n in range(LIST_FILTERS)]
    first = (await api.get(PATH, Identity=asked, PageSize=1, Page=0)).json()["meta"]
    second = (await api.get(first["next_page_url"])).json()["meta"]
    for url in (first["url"], first["first_page_url"], second["url"], second["previous_page_url"]):
        assert (await api.get(url)).status_code == 200
    assert len(await api.walk(PATH, Identity=asked, PageSize=1)) == 3


@pytest.mark.parametrize("path", [PATH, CHAT_PATH])
async def test_more_filters_are_refused(api: Api, path: str) -> None:
    """Rather than answered with URLs that are refused."""
    answer = await api.get(path, Identity=[f"user {n}" for n in range(LIST_FILTERS + 1)])
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert str(LIST_FILTERS) in answer.json()["message"]


async def test_filters_count_together(api: Api) -> None:
    """Whatever they are called."""
    asked = [f"user {n}" for n in range(LIST_FILTERS)]
    assert (await api.get(PATH, Identity=asked, Tag="a")).status_code == 400


async def test_the_page_after_the_highest_page(api: Api) -> None:
    """Page is the client's own count: whatever it is, the page after it can be asked for."""
    for n in range(2):
        await api.create(PATH, Identity=f"user {n}", Address=f"address {n}")
    first = (await api.get(PATH, PageSize=1, Page=999_999_999)).json()
    assert (await api.get(first["meta"]["next_page_url"])).status_code == 200
