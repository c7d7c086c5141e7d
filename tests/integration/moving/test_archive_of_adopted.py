"""An archive of what was adopted: an upstream need not keep to the limits of our own routes."""

from __future__ import annotations

import pytest

from service.domain.archive import UnreadableLine
from service.store.adoptions import Found, Source
from service.store.archives import Restored
from tests.integration.moving.test_archive import archive, bind, restored
from tests.integration.store.adoption import binding
from tests.integration.workers.bench import Bench


async def adopted(bench: Bench, *found: Found) -> None:
    """As an upstream was found to have them."""
    await bench.service.adoptions.adopt(Source.IMPORT, found)


@pytest.mark.parametrize(
    ("identity", "tag"),
    [("i" * 257, "a"), ("alice", "t" * 129), ("", "a")],
    ids=["a long identity", "a long tag", "an empty identity"],
)
async def test_what_an_upstream_has_may_be_longer_than_what_is_registered_here(
    here: Bench, there: Bench, identity: str, tag: str
) -> None:
    """It was adopted as it is, and comes back as it was."""
    await adopted(here, binding(identity, "token-1", tag), binding("bob", "token-2"))
    lines = await archive(here)
    assert await restored(there, lines) == {Restored.NEW: 2}
    assert await archive(there) == lines


async def test_what_no_record_can_hold_is_no_line(here: Bench, there: Bench) -> None:
    """Lengths take two bytes in a record."""
    await adopted(here, binding("alice", "token-1", "t" * 60_000))
    lines = await archive(here)
    assert await restored(there, lines) == {Restored.NEW: 1}
    with pytest.raises(UnreadableLine, match="line 2: longer than a registration can be"):
        await restored(there, lines.replace(b"ttt", b"tttt"))


async def test_more_than_twenty_come_back_where_an_upstream_had_them(here: Bench, there: Bench) -> None:
    """They are exempt from the cap as they were when they were adopted; nothing is added to them."""
    await adopted(here, *(binding("alice", f"token-{n}") for n in range(25)))
    lines = await archive(here)
    assert await restored(there, lines) == {Restored.NEW: 25}
    assert await archive(there) == lines


async def test_with_what_is_registered_here_there_are_no_more_than_the_archive_holds(here: Bench, there: Bench) -> None:
    """Contract 5, but for what an upstream had; other identities have the cap that they always have."""
    await adopted(here, *(binding("alice", f"token-{n}") for n in range(25)))
    for n in range(20):
        await bind(here, "bob", f"bob-{n}")
    for n in range(3):
        await bind(there, "alice", f"other-{n}")
        await bind(there, "bob", f"bobs-other-{n}")
    assert await restored(there, await archive(here)) == {Restored.NEW: 22 + 17, Restored.FULL: 3 + 3}
