"""What gdb prints of the kernel's values, against gdb's own raw printing (`/r`)."""

import re

import pytest

from rcdbg.riscv.registers import ABI_NAMES
from tests.integration.gdb.talk import printed, said, say, show
from tests.support.in_gdb import InGdb


@pytest.mark.every_kernel
def test_printers_say_what_the_raw_values_are(ticked: InGdb) -> None:
    thread = ticked.run.state().processor.ready[0]
    assert thread.stack is not None
    one = f"$rc_thread({thread.id})"
    text = ticked(
        *show("address", f"p {one}.stack.start"),
        say("address", f"{one}.stack.start.__0"),
        *show("range", f"p {one}.stack"),
        *show("thread", f"p *{one}"),
        *show("raw", f"p/r {one}.stack"),
        *show("page", f'p $rc_field({one}, b"root_ppn")'),
        say("page", f'$rc_field({one}, b"root_ppn").__0'),
        *show("sstatus", f"p $rc_context({thread.id}).sstatus"),
        say("sstatus", f"$rc_context({thread.id}).sstatus.bits"),
        *show("context", f"p *$rc_context({thread.id})"),
        *show("lock", f"p {one}.inner"),
        "disable pretty-printer .* rcdbg;Range",
        *show("off", f"p {one}.stack"),
        "disable pretty-printer .* rcdbg",
        *show("off", f"p *{one}"),
    )
    start, end = thread.stack.start, thread.stack.end
    assert printed(text, "address") == [f"{said(text, 'address')[0]:#x}"] == [f"{start:#x}"]
    assert printed(text, "range") == [f"{start:#x}..{end:#x} ({end - start} bytes)"]
    (page,) = said(text, "page")
    assert printed(text, "page") == [f"page {page:#x} (at {page << 12:#x})"]
    (sstatus,) = said(text, "sstatus")
    (words,) = printed(text, "sstatus")
    assert words.startswith(f"{sstatus:#x} (")
    assert ("SPP=S" in words, "SPIE" in words) == (bool(sstatus >> 8 & 1), bool(sstatus >> 5 & 1))
    assert thread.context is not None
    (context,) = printed(text, "context")
    for name, value in zip(ABI_NAMES, thread.context.x, strict=True):
        assert re.search(rf"\b{name} = {value:#x}\b", context), name
    assert f"sepc = {thread.context.sepc.address:#x} <{thread.context.sepc.symbol}" in context
    (line,) = printed(text, "thread")
    assert line.startswith(f"thread {thread.id}, ready (place 0 in the queue), parked at ")
    (lock,) = printed(text, "lock")
    assert lock.startswith("not locked = {")
    assert "Range<" in printed(text, "raw")[0]
    assert [("Range<" in t or "Thread {" in t) for t in printed(text, "off")] == [True, True]


@pytest.mark.every_kernel
def test_the_flag_of_a_lock_is_the_one_in_memory(ticked: InGdb) -> None:
    flag = '$rc_field($rc_current(), b"lock")'
    text = ticked(
        *show("lock", "p $rc_current().inner"),
        f"python gdb.selected_inferior().write_memory(int(gdb.parse_and_eval('{flag}').address),"
        " b'\\x01')",
        *show("lock", "p $rc_current().inner"),
    )
    assert [line.split(" = {")[0] for line in printed(text, "lock")] == ["not locked", "locked"]


def test_page_table_entries_and_flags(ticked: InGdb) -> None:
    """Each entry on the way to $pc, against the walk."""
    kind = "os::memory::mapping::page_table_entry::PageTableEntry"
    flags = "os::memory::mapping::page_table_entry::Flags"
    walk = ticked.run.kernel()
    from rcdbg.model.memory.page_table import translate

    steps = translate(walk, walk.registers.pc).walk.steps
    # Frames are mapped at one distance above their physical address.
    offset = walk.symbol("handle_interrupt") or 0
    offset -= walk.image.physical(offset) or 0
    commands: list[str] = []
    for step in steps:
        commands += show("pte", f"p *({step.pte_address + offset:#x} as *const {kind})")
        commands += show("flags", f"p *({step.pte_address + offset:#x} as *const {flags})")
    text = ticked(*commands)
    assert len(steps) == 3
    for step, entry, words in zip(steps, printed(text, "pte"), printed(text, "flags"), strict=True):
        leads = "page at" if step.pte.leaf else "next table at"
        assert entry == f"{step.pte.bits:#x} ({leads} {step.pte.address:#x} {step.pte.flags})"
        assert words.startswith(f"{step.pte.bits & 0xFF:#x} (valid")
        assert ("executable" in words) == bool(step.pte.bits & 8)


HOLD_A_NUMBER = {
    "VirtualAddress": ("0xffffffff80200004", "0xffffffff80200004"),
    "PhysicalAddress": ("0x80200004", "0x80200004"),
    "VirtualPageNumber": ("0xffffffff80200", "page 0xffffffff80200 (at 0xffffffff80200000)"),
    "PhysicalPageNumber": ("0x80200", "page 0x80200 (at 0x80200000)"),
    "PageTableEntry": ("0x20080000", "0x20080000 (not valid)"),
    "Sstatus": ("0x120", "0x120 (SPIE SPP=S)"),
    "Scause": ("0x8000000000000005", "0x8000000000000005 (supervisor timer interrupt)"),
    "Satp": ("0x8000000000080a64", "0x8000000000080a64 (Sv39, root 0x80a64000)"),
    "Stvec": ("0xffffffff80200000", "0xffffffff80200000 (direct, base 0xffffffff80200000)"),
    "Sie": ("0x22", "0x22 (SSIE STIE)"),
    "Sip": ("0x20", "0x20 (STIP)"),
}
"""Types that hold one number: a number, and what is printed of it, by the specification."""

LOOSE = ("VirtualAddress",)
"""May have a symbol behind the number."""


@pytest.mark.every_kernel
def test_each_printer_of_a_number_says_what_gdb_reads_there(ticked: InGdb) -> None:
    """Below the stack pointer, where nothing else is; gdb itself reads the number back."""
    types = ticked.run.image.types
    known = {name: {types.type(i).name for i in types.types_named(name)} for name in HOLD_A_NUMBER}
    commands = ["set $at = $sp - 256"]
    for name, (number, _) in HOLD_A_NUMBER.items():
        word = int(number, 16).to_bytes(8, "little")
        commands.append("python gdb.selected_inferior().write_memory("
                        f"int(gdb.parse_and_eval('$at')), {word!r})")  # fmt: skip
        for path in sorted(known[name]):
            commands.append(say(name, "*($at as *const u64)"))
            commands += show(name, f"p *($at as *const {path})")
    text = ticked(*commands)
    seen = set()
    for name, (number, words) in HOLD_A_NUMBER.items():
        assert {f"{n:#x}" for n in said(text, name)} <= {number}
        for line in printed(text, name):
            seen.add(name)
            assert line.startswith(words), (name, line)
            assert line == words or name in LOOSE, (name, line)
    # A kernel has not each of the CSRs' types.
    assert seen >= {"VirtualAddress", "PhysicalAddress", "PhysicalPageNumber", "PageTableEntry",
                    "Sstatus"}  # fmt: skip


@pytest.mark.every_kernel
def test_printers_on_nonsense(ticked: InGdb) -> None:
    """Memory of all ones, memory of zeros, no memory: gdb prints something, and goes on."""
    types = ticked.run.image.types
    names = {types.type(i).name for name in ("Thread", "Context", "Sstatus", "ThreadInner")
             for i in types.types_named(name)}  # fmt: skip
    names = {name for name in names if name.startswith("os::") or "sstatus" in name}
    where = "(*$rc_current()).stack.start.__0"
    fill = ("python gdb.selected_inferior().write_memory("
            f"int(gdb.parse_and_eval('{where}')), {{}} * 4096)")  # fmt: skip
    commands = ["set $at = " + where]
    for byte in (b"\xff", b"\x00", b"\xa5"):
        commands.append(fill.format(repr(byte)))
        for name in sorted(names):
            commands += show("nonsense", f"p *($at as *const {name})")
    commands += [f"p *(0x123 as *const {name})" for name in sorted(names)]
    done = ticked.call(*commands, "p 4711")
    assert len(names) >= 3
    assert len(printed(done.stdout, "nonsense")) >= 3 * len(names) - 3, done.stderr
    assert "= 4711" in done.stdout
