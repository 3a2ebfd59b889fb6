"""The packets of gdb's remote serial protocol, as bytes.

Source: gdb manual, appendix "GDB Remote Serial Protocol", node "Overview".
"""

import functools
import re
from dataclasses import dataclass
from enum import Enum, auto

INTERRUPT = b"\x03"
ACK = b"+"
NAK = b"-"

MAX_PACKET = 1 << 16
"""Bytes: far above QEMU's 4 KiB, so that a peer which is no stub is found out."""

_ESCAPE = 0x7D
_REPEAT = 0x2A


class ItemKind(Enum):
    """What a stream of bytes begins with."""

    PACKET = auto()
    DAMAGED = auto()
    ACK = auto()
    NAK = auto()
    JUNK = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of the protocol; `payload` is a packet's decoded content, or the junk itself."""

    kind: ItemKind
    payload: bytes = b""


@functools.lru_cache(maxsize=512)
def frame(payload: bytes) -> bytes:
    """The packet that carries `payload`, escaped and with its checksum."""
    escaped = re.sub(rb"[$#}*]", lambda match: bytes((_ESCAPE, match[0][0] ^ 0x20)), payload)
    return b"$%b#%02x" % (escaped, sum(escaped) & 0xFF)


def take(stream: bytes) -> tuple[Item | None, bytes]:
    """The first item of `stream` and what follows it; None if it is not complete yet."""
    if not stream:
        return None, stream
    head = stream[:1]
    if head in (ACK, NAK):
        return Item(ItemKind.ACK if head == ACK else ItemKind.NAK), stream[1:]
    if head != b"$":
        start = min((at for mark in b"$+-" if (at := stream.find(mark)) >= 0), default=len(stream))
        return Item(ItemKind.JUNK, stream[:start]), stream[start:]
    end = stream.find(b"#")
    if end < 0 or len(stream) < end + 3:
        if len(stream) > MAX_PACKET:
            return Item(ItemKind.JUNK, stream), b""
        return None, stream
    body, checksum, rest = stream[1:end], stream[end + 1 : end + 3], stream[end + 3 :]
    payload = _decode(body) if b"%02x" % (sum(body) & 0xFF) == checksum.lower() else None
    if payload is None:
        return Item(ItemKind.DAMAGED), rest
    return Item(ItemKind.PACKET, payload), rest


def _decode(body: bytes) -> bytes | None:
    """Undo escapes (`}c`) and run lengths (`c*n`); None if they make no sense."""
    if b"}" not in body and b"*" not in body:
        return body  # nearly always: a page of memory is 8192 bytes of this
    out = bytearray()
    at = 0
    while at < len(body):
        byte = body[at]
        if byte in (_ESCAPE, _REPEAT) and at + 1 == len(body):
            return None
        if byte == _ESCAPE:
            out.append(body[at + 1] ^ 0x20)
            at += 2
        elif byte == _REPEAT:
            count = body[at + 1] - 29
            if not out or count < 3:
                return None
            out += out[-1:] * count
            at += 2
        else:
            out.append(byte)
            at += 1
    return bytes(out)
