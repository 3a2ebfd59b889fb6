"""Verdicts against QEMU's hart itself: the access is really executed, and faults or does not.

At a stop, a page table of our own is written into the guest's RAM and put into satp, the pc and
the privilege are set, and one instruction is stepped: a load, a store, or whatever is fetched.
"""

import random
import struct
from dataclasses import dataclass

import pytest

from rcdbg.riscv import access as acc
from rcdbg.riscv import pages, paging
from rcdbg.riscv.pte import A, R, U, V, X
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Run

ROUNDS = 400
PAGE = 4096
LOAD, STORE, NOP = 0x0005_3283, 0x0055_3023, 0x0000_0013  # ld t0,0(a0); sd t0,0(a0); nop
FETCH_FAULT, LOAD_FAULT, STORE_FAULT = 12, 13, 15
CAUSES = {"fetch": FETCH_FAULT, "read": LOAD_FAULT, "write": STORE_FAULT}
PRIVILEGES = {"U": 0, "S": 1}
CODE_VA = {"S": 1 << 30, "U": (1 << 30) + PAGE}
TARGET_VA = 5 << 30


@dataclass
class Bench:
    """A page table in the last pages of RAM, and a hart that runs one instruction under it."""

    run: Run
    asid: int = 0

    def __post_init__(self) -> None:
        ram = self.run.qemu.ram
        self.pages = ram.base + len(ram.memory) - 16 * PAGE
        names = ("root", "code1", "code0", "middle", "leaf", "code", "data")
        self.page = {name: self.pages + i * PAGE for i, name in enumerate(names)}
        for address in self.page.values():
            self.write(address, bytes(PAGE))
        self.write(self.page["code"], struct.pack("<II", LOAD, STORE))
        self.write(self.page["data"], struct.pack("<I", NOP) * (PAGE // 4))
        self.entry("root", 1, self.page["code1"], V)
        self.entry("code1", 0, self.page["code0"], V)
        flags = V | R | X | A
        self.entry("code0", 0, self.page["code"], flags)
        self.entry("code0", 1, self.page["code"], flags | U)
        self.stvec = self.run.stub.registers().csrs["stvec"] & ~3

    def write(self, physical: int, data: bytes) -> None:
        ram = self.run.qemu.ram
        offset = physical - ram.base
        ram.memory[offset : offset + len(data)] = data

    def entry(self, table: str, slot: int, target: int, flags: int) -> None:
        self.write(self.page[table] + slot * 8, struct.pack("<Q", target >> 12 << 10 | flags))

    def target(self, level: int, pte: int) -> int:
        """Make `pte` the level's entry for TARGET_VA; returns an address at which data would be."""
        offset = self.page["data"] & pages.page_size(level) - 1
        va = TARGET_VA | offset
        self.entry("root", 5, self.page["middle"], V)
        self.entry("middle", pages.index(va, 1), self.page["leaf"], V)
        table = {2: "root", 1: "middle", 0: "leaf"}[level]
        self.write(self.page[table] + pages.index(va, level) * 8, struct.pack("<Q", pte))
        return va

    def execute(self, access: str, privilege: str, va: int, sstatus: int) -> int | None:
        """Run the one instruction; returns scause if it trapped, None if it did not."""
        stub = self.run.stub
        self.asid ^= 1  # a satp with another ASID makes QEMU forget its translations
        satp = paging.Satp.of(paging.SV39, self.page["root"] >> 12, self.asid).value
        stub.write_register("satp", satp)
        stub.write_register("sstatus", sstatus)
        stub.write_register("priv", PRIVILEGES[privilege])
        stub.write_register("scause", 0)
        stub.write_register("a0", va)
        pc = va if access == "fetch" else CODE_VA[privilege] + (4 if access == "write" else 0)
        stub.write_register("pc", pc)
        stub.step()
        after = stub.registers()
        if after.pc == pc + 4:
            return None
        assert after.pc == self.stvec
        assert after.csrs["stval"] == va
        return after.csrs["scause"]


@pytest.fixture
def bench(rcdbg_boot: BootKernel) -> Bench:
    run = rcdbg_boot("preempt", "interval=20000")
    run.until(trap("timer"))
    return Bench(run.machine)


def random_pte(bench: Bench, choose: random.Random, level: int) -> int:
    """Mostly a good leaf for the data, with one thing or another wrong with it."""
    page = bench.page["data"] & ~(pages.page_size(level) - 1)
    flags = choose.choice([choose.randrange(256), choose.randrange(256) | V, 0xDF, 0xCF])
    pte = page >> 12 << 10 | flags | choose.randrange(4) << 8
    if choose.random() < 0.1:
        pte |= 1 << choose.randrange(54, 64)
    if level and choose.random() < 0.1:
        pte ^= 1 << 10
    return pte


def test_every_verdict_is_what_the_hart_does(bench: Bench) -> None:
    choose = random.Random(39)
    base = bench.run.stub.registers().csrs["sstatus"] & ~(acc.SUM | acc.MXR)
    seen: set[tuple[str, bool | None]] = set()
    for number in range(ROUNDS):
        level = choose.choice([0, 0, 1, 2])
        pte = random_pte(bench, choose, level)
        va = bench.target(level, pte)
        if choose.random() < 0.03:
            va ^= 1 << choose.randrange(39, 64)
        sstatus = base | choose.choice([0, acc.SUM]) | choose.choice([0, acc.MXR])
        access = choose.choice(acc.ACCESSES)
        privilege = choose.choice(acc.PRIVILEGES)
        read = bench.run.target.read_phys
        walk = paging.walk(read, paging.Satp.of(paging.SV39, bench.page["root"] >> 12), va)
        (expected,) = (
            v for v in acc.verdicts(walk, sstatus) if (v.access, v.privilege) == (access, privilege)
        )
        happened = bench.execute(access, privilege, va, sstatus)
        said = f"#{number} {pte:#x} level {level} {access} from {privilege}: {expected}"
        if expected.allowed is None:
            assert happened in (None, CAUSES[access]), said
        else:
            assert happened == (None if expected.allowed else CAUSES[access]), said
        seen.add((expected.broken[0].name if expected.broken else "", expected.allowed))
    rules = {name for name, _ in seen}
    wanted = {"", "V", "reserved", "R", "W", "X", "U", "U-fetch", "SUM", "A", "D",
              "misaligned", "canonical", "level"}  # fmt: skip
    assert wanted <= rules, "every rule was put to the test"
