"""Damages kernels at random, and demands of every decoder an answer: `make fuzz`.

Each round has a seed. It takes a stopped kernel's memory, damages a few of the words that the
decoders read (or the registers), decodes and prints every subject, and makes the memory whole
again. Some of the kernels are the snapshots in tests/snapshots; now and then such a one is written
anew, damaged as it is, and read back. A round fails if a decoder raises, takes more than
LIMIT_SECONDS of processor time, or more memory than LIMIT_BYTES. `python -m tests.fuzz --seed N`
repeats one.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rcdbg.guest.protocol import Registers, Target
from rcdbg.guest.snapshot import Snapshot, read_snapshot
from rcdbg.guest.snapshot_writer import Machine, pack
from rcdbg.image.locate import default_kernel
from rcdbg.image.resolve import load_with_types
from rcdbg.model.kernel import Kernel
from rcdbg.riscv.table_listing import Listing
from rcdbg.subjects.subject import Answer
from rcdbg.subjects.table import SUBJECTS
from rcdbg.trace.conditions import Condition, reached, trap
from rcdbg.trace.run import Boot, Run
from rcdbg.views.render import render_text
from tests.support.frozen import Frozen
from tests.support.questions import ask, walk

ROUNDS = 10_000
LIMIT_SECONDS = 1.0
HANG_SECONDS = 20
MEMORY = "64M"
LIMIT_BYTES = 1 << 30
MAX_FAILURES = 20
REWRITTEN = 50
"""One of so many rounds with a snapshot goes through a file: that takes as long as 20 others."""
PROBLEMS = '"problems": [{'
"""What a document has that shows some."""
_BULK = 256
"""Reads of more bytes than this are tables, stacks and buffers; the others follow structure."""
_SHARING = 0.05
"""Part of the rounds in which page tables are made to share their tables."""
_LINEAR_MAP = 0xFFFF_FFFF_0000_0000

STATES: tuple[tuple[str, Callable[[], Sequence[Condition]]], ...] = (
    ("scenario=preempt interval=200000", lambda: [trap("timer")] * 3),
    ("scenario=sleepers interval=200000", lambda: [trap("timer")] * 4),
    ("scenario=frames", lambda: [reached("frames::print_state", 3)]),
    ("scenario=threads", lambda: [reached("rust_main")]),
)
"""Boot arguments, and where to stop."""

SNAPSHOTS = sorted(Path(__file__).with_name("snapshots").glob("*.snap"))


class HangError(Exception):
    """A decoder did not come back."""


@dataclass
class Words:
    """The physical words that a subject's decoder reads, by how it reads them."""

    followed: list[int] = field(default_factory=list)
    bulk: list[int] = field(default_factory=list)

    def pick(self, chance: random.Random) -> int:
        pools = [pool for pool in (self.followed, self.followed, self.bulk) if pool]
        return chance.choice(chance.choice(pools))


class _Reads:
    """A target that notes what is read of it."""

    def __init__(self, frozen: Frozen) -> None:
        self._target = frozen.target()
        self.ram = self._target.ram
        self.registers = self._target.registers
        self.followed: set[int] = set()
        self.bulk: set[int] = set()

    def read_phys(self, address: int, size: int) -> bytes:
        words = self.followed if size <= _BULK else self.bulk
        words |= set(range(address & ~7, address + size, 8))
        return self._target.read_phys(address, size)


def asked() -> list[tuple[str, Callable[[Kernel], Answer]]]:
    """Everything that can be asked for by name, and a walk."""
    subjects = [(s.name, s.answer) for s in SUBJECTS]
    return [
        *subjects,
        ("walk", lambda kernel: walk(kernel, kernel.registers.sp)),
        ("aliases", lambda kernel: ask(kernel, "pagetable --aliases")),
        ("lint", lambda kernel: ask(kernel, "pagetable --lint")),
        ("diff", lambda kernel: ask(kernel, f"pagetable --diff-satp {kernel.csr('satp') or 0}")),
    ]


class Victim:
    """A stopped kernel, and which of its words are worth damaging."""

    def __init__(self, frozen: Frozen, snapshot: Snapshot | None = None) -> None:
        """`snapshot` is the file that the kernel comes from, if it does."""
        self.frozen, self.snapshot = frozen, snapshot
        kernel = frozen.kernel()
        ram = kernel.target.ram
        assert ram is not None
        listed = Listing(kernel.target.read_phys, kernel.memory.satp).finish()
        self.tables = sorted({t.address for t in listed.tables if t.address in ram})
        self.words: list[Words] = []
        for name, answer in asked():
            reads = _Reads(self.frozen)
            before = answer(Kernel.now(self.frozen.image, reads)).document
            problems = json.dumps(before).count(PROBLEMS)
            if problems:
                raise AssertionError(f"{name} of a healthy kernel has {problems} problems")
            if reads.followed or reads.bulk:
                self.words.append(Words(sorted(reads.followed), sorted(reads.bulk)))

    @classmethod
    def at(cls, run: Run, conditions: Sequence[Condition]) -> Self:
        """A kernel in QEMU that has come to these, one after the other."""
        for condition in conditions:
            run.until(condition)
        return cls(Frozen.of(run))

    @classmethod
    def kept(cls, path: Path) -> Self:
        """A kernel in a snapshot file."""
        snapshot = read_snapshot(path)
        return cls(Frozen.of_snapshot(snapshot), snapshot)

    def target(self, registers: Registers | None, *, through_a_file: bool = False) -> Target:
        """The kernel as it is now, or what is read of its snapshot, written anew."""
        target = self.frozen.target(registers)
        if self.snapshot is None or not through_a_file:
            return target
        was = self.snapshot
        now = target.registers()
        machine = Machine(now, was.ram, was.elf, was.kernel_name, was.console, was.others)
        return Snapshot(pack(machine, target.read_phys), was.name).target

    def damage(self, chance: random.Random) -> Registers | None:
        """Damage memory, and in some rounds the registers, which are returned then."""
        if chance.random() < _SHARING:
            self._share_tables(chance)
        for _ in range(chance.choice([1, 1, 1, 2, 3, 5, 8, 20])):
            at = chance.choice(self.words).pick(chance)
            word = self._word(chance, at) & (1 << 64) - 1
            self.frozen.write(at, word.to_bytes(8, "little"))
        return self._registers(chance) if chance.random() < 0.1 else None

    def _share_tables(self, chance: random.Random) -> None:
        """Let all entries of some page tables lead to a few of them: trees that multiply."""
        some = chance.choices(self.tables, k=chance.randrange(2, 6))
        for address in some:
            for_all = chance.choice([*some, None])
            words = [
                (chance.choice(some) if for_all is None else for_all) >> 12 << 10 | 1
                for _ in range(512)
            ]
            self.frozen.write(address, struct.pack("<512Q", *words))

    def _word(self, chance: random.Random, at: int) -> int:
        old = self.frozen.word(at)
        other = chance.choice(self.words).pick(chance)
        match chance.randrange(9):
            case 0:
                return old ^ 1 << chance.randrange(64)
            case 1:
                return chance.getrandbits(64)
            case 2:
                return chance.choice([0, ~0])
            case 3:  # a cycle
                return _LINEAR_MAP + chance.choice([at, at - 8, at & ~4095])
            case 4:  # a link to elsewhere
                return _LINEAR_MAP + other
            case 5:  # a huge length
                return (1 << chance.randrange(1, 64)) + chance.randrange(-8, 8)
            case 6:
                return old + chance.choice([-8, -1, 1, 8, 4096])
            case 7:  # what stands elsewhere
                return self.frozen.word(other)
            case _:  # a PTE that leads to one of these pages
                return other >> 12 << 10 | chance.getrandbits(8) | 1

    def _registers(self, chance: random.Random) -> Registers:
        now = self.frozen.registers
        words = [
            chance.choice([0, chance.getrandbits(64), chance.choice(now.x)]) for _ in range(32)
        ]
        csrs = {
            name: chance.choice([value, value ^ 1 << chance.randrange(64), chance.getrandbits(64)])
            for name, value in now.csrs.items()
        }
        csrs["satp"] = chance.choice([now.csrs["satp"], 0, 8 << 60 | chance.getrandbits(20)])
        return Registers(
            words[0], (0, *words[1:]), csrs, chance.choice([now.privilege, 0, 1, 3, 2, None])
        )


@contextmanager
def alarm() -> Iterator[None]:
    """Raise HangError in what does not end."""

    def ring(*_: object) -> None:
        raise HangError(f"no answer within {HANG_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@dataclass
class Outcome:
    """What one round showed."""

    seed: int
    failures: list[str]
    slowest: tuple[float, str]
    changed: bool


def play(victims: Sequence[Victim], seed: int) -> Outcome:
    """One round."""
    chance = random.Random(seed)
    victim = victims[seed % len(victims)]
    registers = victim.damage(chance)
    rendered, width = chance.random() < 0.1, chance.choice([20, 40, 80, 160])
    outcome = Outcome(seed, [], (0.0, ""), changed=False)
    through_a_file = seed // len(victims) % REWRITTEN == 0
    try:
        target = victim.target(registers, through_a_file=through_a_file)
        for name, answer in asked():
            begin = time.process_time()
            try:
                with alarm():
                    found = answer(Kernel.now(victim.frozen.image, target))
                    seconds = time.process_time() - begin
                    outcome.changed |= PROBLEMS in json.dumps(found.document)
                    if rendered:
                        render_text(found.view, width=width)
            except Exception:  # noqa: BLE001
                # Whatever it is, it came out of a decoder or a view: that is what is looked for.
                outcome.failures.append(f"seed {seed}: {name} raised\n{traceback.format_exc()}")
                continue
            outcome.slowest = max(outcome.slowest, (seconds, name))
            if seconds > LIMIT_SECONDS:
                outcome.failures.append(f"seed {seed}: {name} took {seconds:.2f} s")
    finally:
        victim.frozen.restore()
    return outcome


_victims: list[Victim] = []
"""For the worker processes, which are forked."""


def _worker(seed: int) -> Outcome:
    return play(_victims, seed)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def kernels(named: Sequence[Path]) -> list[Path]:
    """The kernels to damage: those named, or the sample and its release build if there is one."""
    if named:
        return list(named)
    debug = default_kernel()
    release = debug.parent.with_name("release") / debug.name
    return [debug, *([release] if release.is_file() else [])]


def main() -> int:
    """Run the rounds, print what they showed; 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, help="repeat this one round")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("kernels", nargs="*", type=Path, metavar="ELF")
    options = parser.parse_args()
    for elf in kernels(options.kernels):
        image = load_with_types(elf)
        for append, conditions in STATES:
            with Run(Boot(elf, append, MEMORY), image) as run:
                _victims.append(Victim.at(run, conditions()))
    if not options.kernels:
        # More rounds for the others: there are more states, and they are quicker to decode.
        _victims.extend([*_victims, *map(Victim.kept, SNAPSHOTS)])
    first, count = options.first, options.rounds
    if options.seed is not None:
        first, count = options.seed, 1
    kinds = len(set(map(id, _victims)))
    print(f"fuzz: {kinds} stopped kernels, seeds {first}..{first + count - 1}", flush=True)
    failures, slowest, changed, done = 0, (0.0, "", 0), 0, 0
    begin = time.monotonic()
    context = multiprocessing.get_context("fork")
    with context.Pool(max(1, min(options.jobs, count)), _limit_memory) as pool:
        for outcome in pool.imap_unordered(_worker, range(first, first + count), chunksize=8):
            done += 1
            changed += outcome.changed
            slowest = max(slowest, (*outcome.slowest, outcome.seed))
            for failure in outcome.failures:
                failures += 1
                print(failure, flush=True)
                print(f"  to repeat: python -m tests.fuzz --seed {outcome.seed}", flush=True)
            if failures >= MAX_FAILURES:
                break
    seconds, name, seed = slowest
    print(
        f"fuzz: {done:,} rounds in {time.monotonic() - begin:.0f} s, {failures} failures; "
        f"{100 * changed / done:.0f} % of them with a problem shown; "
        f"slowest {1000 * seconds:.0f} ms ({name}, seed {seed})"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
