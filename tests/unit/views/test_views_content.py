"""What a user reads in each view, in a small panel, in a terminal, and in a wide one."""

from dataclasses import replace

import pytest
from rich.console import RenderableType

from rcdbg.model.state import (
    ALL_UNKNOWN,
    FrameAllocator,
    Interval,
    MappedRange,
    Place,
    Problem,
    Translation,
)
from rcdbg.riscv import paging
from rcdbg.riscv.csr import decode
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.subjects.report import view_state
from rcdbg.views import problems
from rcdbg.views.hart import context, csr, hart
from rcdbg.views.memory import frames, page_table, walk
from rcdbg.views.render import render_text
from rcdbg.views.state import known_places
from rcdbg.views.threads import threads
from tests.unit.views import samples

WIDTHS = (44, 48, 80, 100, 160)
HEALTHY = samples.healthy()


def squeezed(renderable: RenderableType, width: int) -> str:
    """The text with all white space removed: where a line breaks must not matter."""
    text = render_text(renderable, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text or width < 112
    return "".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_trap_shows_cause_place_and_all_registers(width: int) -> None:
    text = squeezed(context.view(HEALTHY.trap), width)
    assert "handlingatrap:supervisortimerinterrupt" in text
    assert ("os::process::thread" if width >= 80 else "…") in text
    assert "::sample_process+0x4e" in text
    assert "os/src/interrupt.rs:112" in text
    assert "0xffffffff80204c10" in text
    assert "SPIESPP=SFS=dirty" in text
    saved = HEALTHY.trap.context
    assert saved is not None
    for name, value in zip(ABI_NAMES, saved.x, strict=True):
        assert f"{name}{value:x}" in text or f"{name}{value:#x}" in text


def test_registers_stand_beside_their_names_reading_down() -> None:
    lines = render_text(hart.view(HEALTHY.hart), 160).splitlines()
    row = next(line for line in lines if line.startswith("sp "))
    assert row.split()[:4] == ["sp", "0xffffffff8026ef00", "a0", f"{HEALTHY.hart.x[10]:#x}"]


def test_the_context_says_why_there_is_none() -> None:
    text = render_text(context.view(samples.early().trap), 60)
    assert text == "the firmware is running: no kernel trap yet\n"


@pytest.mark.parametrize("width", WIDTHS)
def test_every_csr_with_value_and_words(width: int) -> None:
    text = squeezed(csr.view(HEALTHY.hart), width)
    for item in HEALTHY.hart.csrs:
        assert item.name + (f"{item.value:#x}" if item.value else "0") in text
        assert "".join(item.text.split()) in text


def test_csrs_name_what_they_point_to() -> None:
    text = render_text(view_state(HEALTHY), 120)
    sepc = next(line for line in text.splitlines() if "sepc  " in line and "0xff" in line)
    assert "os::process::thread::sample_process+0x4e" in sepc


@pytest.mark.parametrize("width", WIDTHS)
def test_reserved_values_are_called_reserved(width: int) -> None:
    text = squeezed(csr.view(samples.ruined().hart), width)
    assert "!MODE=7isreserved" in text
    assert "!bits0x10000000000arereserved" in text
    assert "notgivenbythetarget:sie,sip" in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["satp", "sstatus", "sie", "scause", "stvec", "sscratch"])
def test_explain_has_every_field_and_its_meaning(name: str, width: int) -> None:
    item = HEALTHY.hart.csr(name)
    assert item is not None
    text = squeezed(csr.explain(item), width)
    assert "".join(item.about.split()) in text
    for field in item.fields:
        assert field.name in text
    if name == "sstatus":
        assert "SIE0offinterruptsaretakeninS-mode" in squeezed(csr.explain(item), 100)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_mapped_range(width: int) -> None:
    text = squeezed(page_table.view(HEALTHY.page_table), width)
    assert "Sv39,root0x80268000,6ranges,120.9MiB" in text
    for item in HEALTHY.page_table.ranges:
        assert f"{item.va:#x}" in text
        assert f"{item.pa:#x}" in text
        assert item.rights in text
        assert "".join((item.section or "").split()) in text


def test_the_end_of_a_range_shows_where_there_is_room() -> None:
    assert "0xffffffff80200000..0xffffffff8021f000" in render_text(
        page_table.view(HEALTHY.page_table), 120
    )
    assert "0xffffffff80200000..…8021f000" in render_text(page_table.view(HEALTHY.page_table), 90)


@pytest.mark.parametrize("width", [90, 120])
def test_a_range_ends_where_the_address_space_does(width: int) -> None:
    """2**64 has no 64 bits: the last page's end was 0x0."""
    last = MappedRange(0xFFFF_FFFF_FFFF_F000, 0x8020_1000, 1, 4096, "r-x--", 1, 0)
    text = render_text(page_table.view(replace(HEALTHY.page_table, ranges=(last,))), width)
    assert "0xfffffffffffff000..2**64 " in text


def test_superpages_and_accessed_pages_are_said() -> None:
    lines = render_text(page_table.view(HEALTHY.page_table), 120).splitlines()
    row = next(line for line in lines if "frames" in line)
    assert row.split()[2:] == ["120", "MiB", "rw---", "2M", "all", "all", "frames"]
    row = next(line for line in lines if ".bss" in line)
    assert row.split()[5:8] == ["4K", "22", "17"]


def test_writable_and_executable_at_once_is_called_out() -> None:
    assert "W+X" in render_text(page_table.view(samples.ruined().page_table), 80)
    assert "W+X" not in render_text(page_table.view(HEALTHY.page_table), 80)


def test_before_paging_the_page_table_says_so() -> None:
    text = render_text(page_table.view(samples.early().page_table), 80)
    assert "bare: no translation, virtual addresses are physical" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_frames_are_counted_and_listed(width: int) -> None:
    text = squeezed(frames.view(HEALTHY.frames), width)
    assert "391framesused(1.2%)31,761free" in text
    assert "of32,152=125.6MiB" in text
    for interval in HEALTHY.frames.free:
        assert f"{interval.start:#x}..{interval.end:#x}" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_picture_has_a_character_for_each_part_of_memory(width: int) -> None:
    allocator = FrameAllocator("A", Interval(0, 64), (Interval(0, 16), Interval(40, 64)), False)
    rows = render_text(frames.picture(Interval(0, 64), allocator.free, width), width).splitlines()
    cells = "".join(row.split(" ", 1)[1] for row in rows[:-1] if row.startswith("0x"))
    assert len(cells) in (32, 64)
    unit = 64 // len(cells)
    assert cells == "·" * (16 // unit) + "█" * (24 // unit) + "·" * (24 // unit)
    assert rows[-1].startswith("█ used")


def test_a_partly_used_cell_is_neither_used_nor_free() -> None:
    managed = Interval(0, 1 << 16)
    text = render_text(frames.picture(managed, (Interval(1, 1 << 16),), 60), 60)
    assert "▒" in text.splitlines()[0]


def test_free_intervals_left_out_are_counted() -> None:
    many = tuple(Interval(i * 2, i * 2 + 1) for i in range(100))
    allocator = FrameAllocator("A", Interval(0, 200), many, False)
    assert "and 90 intervals more, 90 frames free" in render_text(frames.view(allocator, limit=10))
    assert "0xc6..0xc7" in render_text(frames.view(allocator, limit=None))


@pytest.mark.parametrize("width", WIDTHS)
def test_threads_with_their_place_in_the_queue(width: int) -> None:
    text = squeezed(threads.view(HEALTHY.processor, pc=HEALTHY.hart.pc), width)
    assert "FifoScheduler5threads" in text
    for words in ("▸1running", "2ready,next", "3ready,2nd", "4ready,3rd", "5sleeping"):
        assert words in text
    assert "sample_process+0x4e" in text
    assert ("os/src/interrupt.rs:112" if width >= 80 else "interrupt.rs:112") in text
    assert "handle_interrupt+0x10" in text  # where the running one is
    assert "1.2K" in text


def test_a_wide_thread_table_has_the_stack_and_the_whole_symbol() -> None:
    text = render_text(threads.view(HEALTHY.processor), 160)
    row = next(line for line in text.splitlines() if "ready, next" in line)
    assert "0x1100000..0x1180000" in row
    assert "os::process::thread::sample_process+0x4e  os/src/interrupt.rs:112" in row


def test_a_stack_pointer_outside_its_stack_is_said() -> None:
    assert "sp 0x10 is outside" in render_text(threads.view(samples.ruined().processor), 100)


def test_threads_not_there_yet() -> None:
    text = render_text(threads.view(samples.early().processor), 80)
    assert text == "PROCESSOR is not initialised yet\n"


def _translation(va: int, place: Place | None = None) -> Translation:
    memory = {
        0x8026_8000 + 510 * 8: 0x8026_9 << 10 | 1,
        0x8026_9000 + 1 * 8: 0x8026_A << 10 | 1,
        0x8026_A000 + 1 * 8: 0x8020_1 << 10 | 0xCB,
    }
    done = paging.walk(
        lambda at, _: memory.get(at, 0).to_bytes(8, "little"),
        paging.Satp.of(paging.SV39, 0x80268),
        va,
    )
    content = bytes(range(0x41, 0x51)) if done.physical else None
    return Translation(done, "Sv39", 0x80268, place or Place(va), content)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_walk_shows_each_level_and_the_result(width: int) -> None:
    text = squeezed(walk.view(_translation(samples.HANDLER.address, samples.HANDLER)), width)
    assert "VPN[2]=510VPN[1]=1VPN[0]=1offset=0xa34" in text
    for pte in ("0x80268ff0", "0x80269008", "0x8026a008"):
        assert pte in text
    assert "nexttableat0x80269000" in text
    assert "mapsa4KiBpageat0x80201000" in text
    assert "vr-x--ad" in text
    assert "✓physical0x80201a34(frame0x80201)" in text
    assert "handle_interrupt+0x10" in text
    assert "ABCDEFGH" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_walk_that_ends_says_where_and_why(width: int) -> None:
    text = squeezed(walk.view(_translation(0x1000)), width)
    assert "thewalkendshere" in text
    assert "✗notranslation:thelevel2entryisnotvalid" in text


def test_a_walk_of_no_canonical_address() -> None:
    text = render_text(walk.view(_translation(1 << 50)), 80)
    assert "not canonical: bits 63..39 must all equal bit 38" in text


def test_a_bare_walk() -> None:
    bare = Translation(
        paging.Walk(0x8020_0000, (), 0x8020_0000, None), "bare", 0, Place(0x8020_0000), None
    )
    text = render_text(walk.view(bare), 80)
    assert "bare: no translation" in text
    assert "✓ physical 0x80200000" in text
    assert "no RAM" in text


def test_problems() -> None:
    assert render_text(problems.view(())) == "no problems\n"
    every = list(problems.every(samples.ruined()))
    assert len(every) == 1  # the same one everywhere
    assert "more than RAM holds" in render_text(problems.view(every), 60)


@pytest.mark.parametrize("width", WIDTHS)
def test_changes_since_the_last_stop_are_marked_in_words_and_not_only_in_colour(
    width: int,
) -> None:
    x = list(HEALTHY.hart.x)
    x[10] = 0x1234
    now = replace(
        HEALTHY,
        hart=replace(HEALTHY.hart, x=tuple(x), csrs=(decode("sie", 2), *HEALTHY.hart.csrs[:2])),
        frames=replace(HEALTHY.frames, free=HEALTHY.frames.free[1:]),
        page_table=replace(HEALTHY.page_table, ranges=HEALTHY.page_table.ranges[1:]),
        processor=replace(HEALTHY.processor, sleeping=()),
    )
    assert "a0*" in squeezed(hart.view(now.hart, HEALTHY.hart), width)
    assert "a1*" not in squeezed(hart.view(now.hart, HEALTHY.hart), width)
    assert "sie*0x2" in squeezed(csr.view(now.hart, HEALTHY.hart), width)
    assert "satp*" not in squeezed(csr.view(now.hart, HEALTHY.hart), width)
    assert "*+16" in squeezed(frames.view(now.frames, HEALTHY.frames), width)
    table = squeezed(page_table.view(now.page_table, HEALTHY.page_table), width)
    assert "*goneorchangedsincethelaststop:0x10000..0x13000r-xu-" in table
    back = squeezed(threads.view(HEALTHY.processor, now.processor), width)
    assert "5*sleeping" in back
    assert "*" not in squeezed(view_state(HEALTHY, HEALTHY), width)


def test_the_whole_is_not_without_problems_where_nothing_was_read() -> None:
    state = samples.healthy()
    known = replace(
        state,
        problems=(),
        trap=replace(state.trap, context=None, problems=()),
        page_table=replace(state.page_table, problems=()),
        frames=replace(state.frames, problems=()),
        processor=replace(state.processor, current=None, ready=(), sleeping=(), problems=()),
    )
    assert render_text(problems.whole(known)) == "no problems\n"
    nothing = replace(
        known,
        frames=replace(known.frames, is_known=False),
        processor=replace(known.processor, unknown=ALL_UNKNOWN),
    )
    assert render_text(problems.whole(nothing)) == "not known: threads, frames\n"
    wrong = replace(known, frames=replace(known.frames, problems=(Problem("frames", "odd"),)))
    assert render_text(problems.whole(wrong)) == "1 problem, above\n"


def test_a_csr_is_not_explained_by_another_program_at_the_same_address() -> None:
    """Every program begins at the same address: what the trap says counts, in its own space."""
    entry = Place(0x10000, "_start", 0, None, None, program="mine")
    other = replace(entry, program="another")
    state = samples.healthy()
    assert state.trap.context is not None
    trap = replace(state.trap, context=replace(state.trap.context, sepc=entry))
    parked = replace(samples.thread(2, "ready", 0, samples.SPIN), context=samples.context(other, 0))
    processor = replace(state.processor, ready=(parked,))
    both = replace(state, trap=trap, processor=processor)
    assert known_places(both)[0x10000] == entry
    alone = replace(both, trap=replace(trap, context=None))
    assert 0x10000 not in known_places(alone)
