"""The layout of a record, in Python and in Lua."""

import re
import struct
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.addresses import BindingType
from service.domain.jobs import LANES
from service.domain.record import (
    APPLIED,
    HEADER,
    Attributes,
    Channel,
    Extras,
    Record,
    State,
    decode_attributes,
    decode_extras,
    encode_blob,
    pack_address,
    unpack_address,
)

LUA = files("service.store") / "lua" / "lib"


def constant(file: str, name: str) -> str:
    found = re.search(rf"local {name} = '([^']+)'", (LUA / file).read_text())
    assert found
    return found[1]


def test_lua_and_python_agree_on_the_layout() -> None:
    """The scripts' header and section are the ones that Python reads, size for size."""
    sizes = {"B": "B", "c16": "16s", "c12": "12s", "c8": "8s", "c4": "4s", "I8": "Q", "I4": "I", "H": "H"}

    def as_python(layout: str) -> str:
        return "<" + "".join(sizes[part] for part in re.findall(r"c\d+|I\d|[BH]", layout))

    assert as_python(constant("record.lua", "HEADER")) == HEADER.format
    assert as_python(constant("record.lua", "APPLIED_SECTION")) == APPLIED.format
    assert HEADER.size == 92


def test_lua_and_python_agree_on_the_lanes() -> None:
    """The number of lanes is part of the schema."""
    assert f"local LANES, FLAG_MS = {LANES}, " in (LUA / "unit.lua").read_text()


def test_lua_and_python_agree_on_channels_states_and_kinds() -> None:
    """Numbers in records mean the same on both sides."""
    source = (LUA / "record.lua").read_text()
    assert "local NOTIFY, CHAT = 1, 2" in source
    assert [Channel.NOTIFY, Channel.CHAT] == [1, 2]
    assert "local NONE, PENDING, APPLIED, FAILED, UNKNOWN = 0, 1, 2, 3, 4" in source
    assert list(State) == [0, 1, 2, 3, 4]
    assert "[1] = 'a', [2] = 'g', [3] = 'g'" in source
    assert [BindingType.of(n).value for n in (1, 2, 3)] == ["apn", "fcm", "gcm"]


@given(st.text(alphabet="0123456789abcdefABCDEF:_- ", max_size=80))
def test_addresses_come_back_as_they_were(address: str) -> None:
    """Packing is lossless, and depends on nothing but the text."""
    assert unpack_address(pack_address(address)) == address


def test_hex_takes_half_the_room() -> None:
    """An APNs token of 64 digits is kept in 33 bytes."""
    assert len(pack_address("ab" * 32)) == 33


def test_blobs_gain_fields_without_losing_old_ones() -> None:
    """A blob with fewer fields reads with defaults, one with more reads all the same."""
    assert decode_attributes(b"\x91\xa5alice") == Attributes("alice")
    assert decode_extras(b"\x90") == Extras()
    assert decode_extras(b"\x94\xc0\xc0\xc0\xa3new") == Extras()


def record(*, channels: Channel, notify: State, past: bytes = b"") -> Record:
    address, attributes, extras = (
        pack_address("token"),
        encode_blob(Attributes("alice", ("new",))),
        encode_blob(Extras()),
    )
    header = HEADER.pack(
        1, 2, channels, notify, 0, 0, b"o" * 16, bytes(12), bytes(12), bytes(8), 9, 9, b"nnnn", 10, 20, 30,
        len(address), len(attributes), len(extras),
    )  # fmt: skip
    return Record(b"f" * 12, header + address + attributes + extras + past)


def test_only_what_is_applied_and_desired_is_visible() -> None:
    """Nothing pending or removed shows; behind a pending change the last applied version does."""
    notify = Channel.NOTIFY
    applied = record(channels=notify, notify=State.APPLIED).visible(notify)
    assert applied
    assert (applied.attributes.tags, applied.sid.nonce) == (("new",), b"nnnn")
    past = APPLIED.pack(3, b"oooo", 1, 2) + encode_blob(Attributes("alice", ("old",)))
    before = record(channels=notify, notify=State.PENDING, past=past).visible(notify)
    assert before
    assert (before.attributes.tags, before.sid.nonce, before.kind) == (("old",), b"oooo", BindingType.GCM)
    assert record(channels=notify, notify=State.PENDING).visible(notify) is None
    assert record(channels=Channel(0), notify=State.PENDING, past=past).visible(notify) is None
    assert record(channels=Channel.CHAT, notify=State.APPLIED).visible(notify) is None


def test_an_unknown_layout_is_not_guessed_at() -> None:
    """A record of a later layout is refused."""
    with pytest.raises(ValueError, match="layout"):
        Record(b"f" * 12, b"\x03" + bytes(HEADER.size - 1))
    with pytest.raises(struct.error):
        Record(b"f" * 12, b"\x01")
