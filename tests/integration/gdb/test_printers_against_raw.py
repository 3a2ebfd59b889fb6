"""Pretty printers for the kernel's types, each against gdb's own raw printing of the same bytes."""

import json
import random
import re
import struct
from pathlib import Path

import pytest

from rcdbg.image.elf import Image
from rcdbg.image.types import StructType
from rcdbg.riscv.registers import ABI_NAMES
from tests.support.in_gdb import InGdb

pytestmark = pytest.mark.every_kernel

LOOK = """
import gdb, json
at = int(gdb.parse_and_eval("$rc_current().stack.start.__0"))
for path, data in json.load(open({questions!r})):
    kind = gdb.lookup_type(path)
    gdb.selected_inferior().write_memory(at, bytes.fromhex(data)[: kind.sizeof])
    value = gdb.Value(at).cast(kind.pointer()).dereference()
    raw = value.format_string(raw=True, format="x", repeat_threshold=0, max_elements=0)
    print("@" + json.dumps([path, value.format_string(max_elements=0), raw]))
"""

ENDS = ("start", "end")

Seen = tuple[str, str]
"""What the printer says, and gdb without it, in hexadecimal."""


def look(in_gdb: InGdb, folder: Path, questions: list[tuple[str, bytes]]) -> list[Seen]:
    """Each type's name with the bytes that it is given, in memory that nothing uses."""
    asked, script = folder / "questions.json", folder / "look.py"
    asked.write_text(json.dumps([(path, data.hex()) for path, data in questions]))
    script.write_text(LOOK.format(questions=str(asked)))
    answers = [json.loads(line[1:]) for line in in_gdb(f"source {script}").splitlines()
               if line.startswith("@[")]  # fmt: skip
    assert [path for path, *_ in answers] == [path for path, _ in questions]
    return [(text, raw) for _, text, raw in answers]


def structs(image: Image, name: str, *members: str) -> list[StructType]:
    """The structs of that name that have these members, each path once."""
    found = {}
    for type_id in image.types.types_named(name):
        kind = image.types.type(type_id)
        if isinstance(kind, StructType) and kind.size and all(map(kind.member, members)):
            found[kind.name] = kind
    return list(found.values())


def numbers(raw: str) -> list[int]:
    return [int(n, 16) for n in re.findall(r"\b0x[0-9a-f]+\b", raw)]


def test_flags(in_gdb: InGdb, tmp_path: Path) -> None:
    """The eight bits of a PTE by the names in the privileged specification, section 4.3.1."""
    bits = ["valid", "readable", "writable", "executable", "user", "global", "accessed", "dirty"]
    (kind,) = structs(in_gdb.run.image, "Flags")
    seen = look(in_gdb, tmp_path, [(kind.name, bytes([value])) for value in range(256)])
    for value, (text, raw) in enumerate(seen):
        assert numbers(raw) == [value]
        words = " ".join(word for bit, word in enumerate(bits) if value >> bit & 1)
        assert text == f"{value:#x} ({words or 'none'})"


def test_ranges(in_gdb: InGdb, tmp_path: Path) -> None:
    source = random.Random(5)
    of_numbers = re.compile(r"Range<(usize|u64|.*(Address|PageNumber))>$")
    kinds = [kind for kind in structs(in_gdb.run.image, "Range", "start", "end")
             if of_numbers.search(kind.name)]  # fmt: skip
    ends = [(1, 9), (7, 7), (9, 1), *((source.getrandbits(39), source.getrandbits(64)),) * 2]
    asked = [(kind.name, struct.pack("<2Q", *pair)) for kind in kinds for pair in ends]
    units = set()
    for (path, _), (text, raw) in zip(asked, look(in_gdb, tmp_path, asked), strict=True):
        start, end = numbers(raw) if raw.index("start") < raw.index("end") else numbers(raw)[::-1]
        if end < start:
            assert text == f"{start:#x}..{end:#x} (the end is before the start)"
            continue
        argument = path.partition("<")[2].rstrip(">")
        unit = " pages" * argument.endswith("PageNumber") + " bytes" * argument.endswith("Address")
        assert text == f"{start:#x}..{end:#x} ({end - start}{unit})"
        units.add(unit)
    assert units >= {" pages", " bytes"}


def test_contexts(in_gdb: InGdb, tmp_path: Path) -> None:
    source = random.Random(7)
    (kind,) = structs(in_gdb.run.image, "Context", "x", "sstatus", "sepc")
    asked = [(kind.name, source.randbytes(kind.size)) for _ in range(20)]
    for text, raw in look(in_gdb, tmp_path, asked):
        x = numbers(raw[raw.index("x: [") : raw.index("]")])
        assert len(x) == len(ABI_NAMES)
        said = dict(re.findall(r"\b(\w+) = (0x[0-9a-f]+)", text))
        assert [int(said[name], 16) for name in ABI_NAMES] == x
        outside = numbers(raw[: raw.index("x: [")] + raw[raw.index("]") :])
        assert sorted(int(said[name], 16) for name in ("sstatus", "sepc")) == sorted(outside)
        assert text.startswith(f"interrupted at {said['sepc']}")


def flag_of(image: Image, kind: StructType) -> int | None:
    """Where in a lock its flag is, wrapped or not; None for what is no lock."""
    offset = 0
    for _ in range(8):
        lock = kind.member("lock")
        if lock is not None and kind.member("data"):
            return offset + lock.offset
        inside = [m for m in kind.members if image.types.type(m.type).size]
        inner = image.types.type(inside[0].type) if len(inside) == 1 else None
        if not isinstance(inner, StructType):
            return None
        offset, kind = offset + inside[0].offset, inner
    return None


@pytest.mark.parametrize("name", ["Lock", "Mutex", "SpinMutex"])
def test_locks(in_gdb: InGdb, tmp_path: Path, name: str) -> None:
    """Held or not is what gdb has in the flag."""
    image = in_gdb.run.image
    kinds = [k for k in structs(image, name) if k.size <= 4096 and flag_of(image, k) is not None]
    if not kinds:
        pytest.skip(f"this kernel has no {name} of this kind")
    asked = []
    for kind in kinds:
        flag = flag_of(image, kind)
        assert flag is not None
        free = bytes(kind.size)
        asked += [(kind.name, free), (kind.name, free[:flag] + b"\1" + free[flag + 1 :])]
    for number, (text, raw) in enumerate(look(in_gdb, tmp_path, asked)):
        found = re.search(r"\block: .*?(0x[01])\b", raw)
        assert found is not None, raw
        held = int(found[1], 16)
        assert held == number % 2
        assert re.match(r"locked\b" if held else r"not locked\b", text), text


def test_threads(in_gdb: InGdb) -> None:
    """Each thread by its id; one that is a copy elsewhere is in no queue."""
    threads = in_gdb.run.state().processor.threads
    assert len(threads) >= 3
    commands = []
    for thread in threads:
        one = f"$rc_thread({thread.id})"
        for what in (f"p *{one}", f"p/r {one}.id", *(f"p/r {one}.stack.{e}.__0" for e in ENDS)):
            commands += ['printf "@"', what]
    size = max(kind.size for kind in structs(in_gdb.run.image, "Thread", "id", "stack"))
    copy = (
        "python start = int(gdb.parse_and_eval('$rc_current()')) & (1 << 64) - 1;"
        " at = int(gdb.parse_and_eval('$rc_current().stack.start.__0'));"
        f" data = gdb.selected_inferior().read_memory(start, {size}).tobytes();"
        " gdb.selected_inferior().write_memory(at, data);"
        " kind = gdb.parse_and_eval('$rc_current()').type;"
        " print('@', gdb.Value(at).cast(kind).dereference())"
    )
    lines = re.findall(r"^@(?:\$\d+ = | )(.*)$", in_gdb(*commands, copy), re.MULTILINE)
    assert len(lines) == 4 * len(threads) + 1
    for place, thread in enumerate(threads):
        text, number, start, end = lines[4 * place : 4 * place + 4]
        assert int(number) == thread.id
        assert text.startswith(f"thread {number}, {thread.status}")
        assert f"stack of {int(end) - int(start)} bytes" in text
    assert lines[-1] == f"thread {threads[0].id}, in no queue"
