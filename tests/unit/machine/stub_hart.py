"""A hart behind a stub, as simple as can be."""

from rcdbg.machine.stub import rsp

from .conftest import describe_registers


def little(value: int) -> bytes:
    return value.to_bytes(8, "little").hex().encode()


class FakeHart:
    """A stub with memory from 0x1000 to 0x9000, whose instructions are one byte long.

    `c` runs to the next breakpoint, or on for ever; `packets` is what was asked.
    """

    def __init__(self) -> None:
        self.pc = 0x1000
        self.breakpoints: set[int] = set()
        self.memory = bytearray(range(256)) * 128
        self.packets: list[bytes] = []
        self.physical = False

    def __call__(self, payload: bytes) -> bytes | None:
        self.packets.append(payload)
        described = describe_registers(payload)
        if described is not None:
            return described
        reply = self.reply(payload)
        return b"" if reply is None else rsp.frame(reply)

    def reply(self, payload: bytes) -> bytes | None:
        kind, rest = payload[:1], payload[1:]
        if kind in b"Zz":
            address = int(rest.split(b",")[1], 16)
            (self.breakpoints.add if kind == b"Z" else self.breakpoints.remove)(address)
            return b"OK"
        if kind == b"g":
            return b"".join(little(number) for number in range(32)) + little(self.pc)
        if kind == b"p":
            values = {32: self.pc, 450: 8 << 60 | 0x80222, 451: 1 << 63 | 5, 4161: 1}
            return little(values[int(rest, 16)])
        if kind == b"P":
            assert rest.startswith(b"20="), "the pc is all that can be set"
            self.pc = int.from_bytes(bytes.fromhex(rest[3:].decode()), "little")
            return b"OK"
        if kind == b"s":
            self.pc += 1
            return b"T05thread:01;"
        if kind == b"c":
            ahead = [address for address in self.breakpoints if address >= self.pc]
            if not ahead:
                return None
            self.pc = min(ahead)
            return b"T05thread:01;"
        if payload == rsp.INTERRUPT:
            return b"T02thread:01;"
        if kind == b"m":
            address, size = (int(number, 16) for number in rest.split(b","))
            if not 0x1000 <= address <= 0x9000 - size:
                return b"E14"
            return self.memory[address - 0x1000 :][:size].hex().encode()
        if kind == b"M":
            span, data = rest.split(b":")
            address, _ = (int(number, 16) for number in span.split(b","))
            piece = bytes.fromhex(data.decode())
            self.memory[address - 0x1000 : address - 0x1000 + len(piece)] = piece
            return b"OK"
        if payload.startswith(b"Qqemu.PhyMemMode:"):
            self.physical = payload.endswith(b"1")
            return b"OK"
        return b""
