"""Packets of the remote serial protocol: framing, acknowledgements, escapes, run lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.machine.stub import rsp
from rcdbg.machine.stub.rsp import Item, ItemKind


def take_all(stream: bytes) -> tuple[list[Item], bytes]:
    items: list[Item] = []
    while True:
        item, stream = rsp.take(stream)
        if item is None:
            return items, stream
        items.append(item)


def test_a_packet_carries_its_checksum() -> None:
    # The example of the gdb manual's node "Packets": the sum of the characters, modulo 256.
    assert rsp.frame(b"OK") == b"$OK#9a"
    assert rsp.frame(b"") == b"$#00"


def test_special_characters_are_escaped() -> None:
    assert rsp.frame(b"a$b#c}d*e")[:-3] == b"$a}\x04b}\x03c}\x5dd}\x0ae"


@given(st.binary(max_size=300))
def test_what_is_framed_is_taken_again(payload: bytes) -> None:
    assert rsp.take(rsp.frame(payload)) == (Item(ItemKind.PACKET, payload), b"")


@given(st.binary(max_size=60), st.data())
def test_a_packet_may_come_in_pieces(payload: bytes, data: st.DataObject) -> None:
    packet = rsp.frame(payload)
    cut = data.draw(st.integers(0, len(packet) - 1))
    assert rsp.take(packet[:cut])[0] is None
    assert rsp.take(packet) == (Item(ItemKind.PACKET, payload), b"")


def test_acknowledgements_and_packets_are_told_apart() -> None:
    items, rest = take_all(b"+$OK#9a-+$#00$O")
    assert [item.kind for item in items] == [
        ItemKind.ACK,
        ItemKind.PACKET,
        ItemKind.NAK,
        ItemKind.ACK,
        ItemKind.PACKET,
    ]
    assert rest == b"$O"


def test_run_lengths_are_expanded() -> None:
    # "0* " is four zeros: the count is the character's code minus 29.
    body = b"0* 12"
    packet = b"$%b#%02x" % (body, sum(body) & 0xFF)
    assert rsp.take(packet)[0] == Item(ItemKind.PACKET, b"000012")


@pytest.mark.parametrize("body", [b"*!", b"0*", b"0*\x1d", b"abc}"])
def test_impossible_escapes_and_run_lengths_are_damage(body: bytes) -> None:
    packet = b"$%b#%02x" % (body, sum(body) & 0xFF)
    assert rsp.take(packet)[0] == Item(ItemKind.DAMAGED)


def test_a_wrong_checksum_is_damage_and_the_next_packet_is_found() -> None:
    items, rest = take_all(b"$OK#00$OK#9a")
    assert items == [Item(ItemKind.DAMAGED), Item(ItemKind.PACKET, b"OK")]
    assert rest == b""


def test_junk_ends_where_a_packet_begins() -> None:
    items, _ = take_all(b"HTTP/1.1 200$OK#9a")
    assert items == [Item(ItemKind.JUNK, b"HTTP/1.1 200"), Item(ItemKind.PACKET, b"OK")]


def test_a_packet_without_end_is_junk_at_last() -> None:
    item, rest = rsp.take(b"$" + b"0" * rsp.MAX_PACKET)
    assert item is not None
    assert item.kind is ItemKind.JUNK
    assert rest == b""


@given(st.binary(max_size=200))
def test_no_bytes_make_it_loop_or_raise(stream: bytes) -> None:
    items, rest = take_all(stream)
    assert len(items) + len(rest) <= len(stream)
