from pathlib import Path

import pytest

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.match import SAMPLE_SIZE, SAMPLES, doubt_of
from tests.unit.image import build
from tests.unit.image.build import BASE, LOADED, Elf, Section

CODE = bytes(index * 7 & 0xFF for index in range(40_000))
CONSTANTS = b"constants" * 1000
RAM_SIZE = 0x40000


class Memory:
    """RAM at LOADED, and the reads of it."""

    def __init__(self, image: Image) -> None:
        self.data = bytearray(RAM_SIZE)
        self.reads: list[tuple[int, int]] = []
        for segment in image.segments:
            content = image.read(segment.vaddr, segment.memory_size)
            assert content is not None
            at = segment.paddr - LOADED
            self.data[at : at + len(content)] = content

    def read(self, address: int, size: int) -> bytes:
        """Raises MemoryReadError outside of RAM."""
        self.reads.append((address, size))
        if not LOADED <= address <= LOADED + RAM_SIZE - size:
            raise MemoryReadError(address, size, "not in RAM")
        return bytes(self.data[address - LOADED : address - LOADED + size])


def make(path: Path, build_id: bytes | None, code: bytes = CODE) -> Image:
    """A kernel with a build id note, or without one."""
    loads = [
        (BASE, LOADED, code, len(code), 5),
        (BASE + 0x10000, LOADED + 0x10000, CONSTANTS, len(CONSTANTS), 4),
        (BASE + 0x20000, LOADED + 0x20000, b"data", 4096, 6),
    ]
    sections = []
    if build_id is not None:
        note = build.note(build_id)
        loads.append((BASE + 0x30000, LOADED + 0x30000, note, len(note), 4))
        sections.append(
            Section(".note.gnu.build-id", address=BASE + 0x30000, flags="a", size=len(note), type=7)
        )
    path.write_bytes(Elf(loads, sections).bytes())
    return load_image(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "os"


@pytest.mark.parametrize("build_id", [bytes(range(20)), None])
def test_the_kernel_that_runs(path: Path, build_id: bytes | None) -> None:
    image = make(path, build_id)
    memory = Memory(image)
    memory.data[0x20000:0x20004] = b"gone"  # data may change
    assert doubt_of(image, memory.read) is None


def test_equal_build_ids_settle_it_with_one_read(path: Path) -> None:
    image = make(path, bytes(range(20)))
    memory = Memory(image)
    memory.data[0x100] ^= 1
    assert doubt_of(image, memory.read) is None
    assert memory.reads == [(LOADED + 0x30000, 36)]


def test_another_build_id_names_both(path: Path) -> None:
    memory = Memory(make(path, b"\xaa" * 20))
    with pytest.raises(ImageError, match="is not the kernel that runs") as raised:
        doubt_of(make(path, b"\xbb" * 20), memory.read)
    assert f"{path} is not" in str(raised.value)
    assert "has build id aaaaaaaaaaaa, this file bbbbbbbbbbbb" in str(raised.value)


def test_another_build_whose_code_has_moved_is_another_kernel(path: Path) -> None:
    """One instruction more near the start shifts all that follows."""
    memory = Memory(make(path, None))
    other = make(path, None, CODE[:100] + b"\x13\x00\x00\x00" + CODE[100:-4])
    with pytest.raises(ImageError, match="is not the kernel that runs, or something overwrote"):
        doubt_of(other, memory.read)


def test_another_kernel_is_none_of_it(path: Path) -> None:
    memory = Memory(make(path, None))
    other = make(path, None, bytes(255 - byte for byte in CODE[:30_000]))
    with pytest.raises(ImageError, match=f"{SAMPLES} of {SAMPLES} samples differ"):
        doubt_of(other, memory.read)


def test_a_patched_instruction_is_a_doubt(path: Path) -> None:
    image = make(path, None)
    memory = Memory(image)
    memory.data[16:20] = bytes.fromhex("13000000")  # nop
    says = doubt_of(image, memory.read)
    assert says is not None
    assert "may not be the kernel that runs, or something changed its code" in says
    assert f"1 of {SAMPLES} samples differ, the first at {BASE:#x}" in says


@pytest.mark.parametrize("at", [0, 20_000, 39_000, len(CODE) - 1])
def test_a_large_change_anywhere_in_the_code_is_found_without_a_build_id(
    path: Path, at: int
) -> None:
    image = make(path, None)
    memory = Memory(image)
    for index in range(at - 4000, at + 4000):
        if 0 <= index < len(memory.data):
            memory.data[index] ^= 0x55
    assert "may not be the kernel that runs" in str(doubt_of(image, memory.read))


def test_a_kernel_most_of_whose_code_is_overwritten(path: Path) -> None:
    image = make(path, None)
    memory = Memory(image)
    memory.data[4000 : len(CODE)] = bytes(len(CODE) - 4000)
    with pytest.raises(ImageError, match=f"of {SAMPLES} samples differ, the first at"):
        doubt_of(image, memory.read)


def test_what_is_read_only_by_its_flags_alone_may_change(path: Path) -> None:
    """rCore-Tutorial's ch3 has its stacks in .rodata."""
    image = make(path, None)
    memory = Memory(image)
    memory.data[0x10000 : 0x10000 + len(CONSTANTS)] = bytes(len(CONSTANTS))
    assert doubt_of(image, memory.read) is None


def test_a_note_that_is_gone_falls_back_to_samples(path: Path) -> None:
    image = make(path, bytes(range(20)))
    memory = Memory(image)
    memory.data[0x30000:0x30010] = b"something else.."
    assert doubt_of(image, memory.read) is None
    memory.data[:30_000] = bytes(range(250)) * 120
    with pytest.raises(ImageError, match="samples differ"):
        doubt_of(image, memory.read)


def test_a_kernel_that_is_not_loaded_yet(path: Path) -> None:
    image = make(path, bytes(range(20)))
    memory = Memory(image)
    memory.data = bytearray(RAM_SIZE)
    says = str(doubt_of(image, memory.read))
    assert f"it is not known whether {path} is the kernel that runs" in says
    assert "its code is not loaded yet, or lies elsewhere" in says


def test_memory_that_is_not_there(path: Path) -> None:
    loads = [(BASE, 0x1000, CODE, len(CODE), 5)]
    path.write_bytes(Elf(loads).bytes())
    image = load_image(path)
    why = "cannot be the kernel that runs: cannot read 129 bytes at 0x1000: not in RAM"
    with pytest.raises(ImageError, match=why):
        doubt_of(image, Memory(make(path, None)).read)


def test_a_part_of_the_code_that_cannot_be_read_leaves_the_others(path: Path) -> None:
    image = make(path, None)
    memory = Memory(image)
    read = memory.read

    def some(address: int, size: int) -> bytes:
        if address > LOADED + len(CODE) - 10_000:
            raise MemoryReadError(address, size, "not in RAM")
        return read(address, size)

    assert doubt_of(image, some) is None
    memory.data[: len(CODE)] = bytes(range(250)) * 160
    with pytest.raises(ImageError, match="is not the kernel that runs"):
        doubt_of(image, some)


@pytest.mark.parametrize("instruction", ["73001000", "0290"])
@pytest.mark.parametrize("at", [0, 64, SAMPLE_SIZE - 2, SAMPLE_SIZE])
def test_breakpoints_in_memory_are_no_difference(path: Path, instruction: str, at: int) -> None:
    image = make(path, None)
    memory = Memory(image)
    code = bytes.fromhex(instruction)
    memory.data[at : at + len(code)] = code
    assert doubt_of(image, memory.read) is None
    memory.data[at] ^= 0x40
    assert "1 of 24 samples differ" in str(doubt_of(image, memory.read))


def test_the_work_is_bounded(path: Path) -> None:
    image = make(path, None)
    memory = Memory(image)
    doubt_of(image, memory.read)
    assert len(memory.reads) == SAMPLES
    assert sum(size for _, size in memory.reads) <= SAMPLES * (SAMPLE_SIZE + 1)
    assert memory.reads[0][0] == LOADED
    last, size = memory.reads[-1]
    assert last + size == LOADED + len(CODE)


def test_a_tiny_kernel(path: Path) -> None:
    path.write_bytes(Elf([(BASE, LOADED, b"tiny", 4, 5)]).bytes())
    image = load_image(path)
    memory = Memory(image)
    assert doubt_of(image, memory.read) is None
    memory.data[3] ^= 1
    with pytest.raises(ImageError, match="1 of 1 samples differ"):
        doubt_of(image, memory.read)


def test_an_image_without_code(path: Path) -> None:
    path.write_bytes(Elf([(BASE, LOADED, b"data", 4, 6)]).bytes())
    image = load_image(path)
    assert "it is not known" in str(doubt_of(image, Memory(image).read))
