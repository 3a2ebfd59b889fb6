from pathlib import Path

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.match import SAMPLE_SIZE, SAMPLES, differs_from_memory
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
    assert differs_from_memory(image, memory.read) is None


def test_equal_build_ids_settle_it_with_one_read(path: Path) -> None:
    image = make(path, bytes(range(20)))
    memory = Memory(image)
    memory.data[0x100] ^= 1
    assert differs_from_memory(image, memory.read) is None
    assert memory.reads == [(LOADED + 0x30000, 36)]


def test_another_build_id_names_both(path: Path) -> None:
    memory = Memory(make(path, b"\xaa" * 20))
    says = differs_from_memory(make(path, b"\xbb" * 20), memory.read)
    assert says is not None
    assert f"{path} is not the kernel that runs" in says
    assert "has build id aaaaaaaaaaaa, this file bbbbbbbbbbbb" in says


@pytest.mark.parametrize("at", [0, 20_000, 39_000, len(CODE) - 1])
def test_a_large_change_anywhere_in_the_code_is_found_without_a_build_id(
    path: Path, at: int
) -> None:
    image = make(path, None)
    memory = Memory(image)
    for index in range(at - 4000, at + 4000):
        if 0 <= index < len(memory.data):
            memory.data[index] ^= 0x55
    says = differs_from_memory(image, memory.read)
    assert says is not None
    assert "is not the kernel that runs, or something overwrote its code" in says
    assert f"of {SAMPLES} samples differ" in says


def test_what_is_read_only_by_its_flags_alone_may_change(path: Path) -> None:
    """rCore-Tutorial's ch3 has its stacks in .rodata."""
    image = make(path, None)
    memory = Memory(image)
    memory.data[0x10000 : 0x10000 + len(CONSTANTS)] = bytes(len(CONSTANTS))
    assert differs_from_memory(image, memory.read) is None


def test_a_note_that_is_gone_falls_back_to_samples(path: Path) -> None:
    image = make(path, bytes(range(20)))
    memory = Memory(image)
    memory.data[0x30000:0x30010] = b"something else.."
    assert differs_from_memory(image, memory.read) is None
    memory.data[:30_000] = bytes(range(250)) * 120
    assert "samples differ" in str(differs_from_memory(image, memory.read))


def test_a_kernel_that_is_not_loaded_yet(path: Path) -> None:
    image = make(path, bytes(range(20)))
    memory = Memory(image)
    memory.data = bytearray(RAM_SIZE)
    assert "only zeros where it belongs" in str(differs_from_memory(image, memory.read))


def test_memory_that_is_not_there(path: Path) -> None:
    loads = [(BASE, 0x1000, CODE, len(CODE), 5)]
    path.write_bytes(Elf(loads).bytes())
    image = load_image(path)
    says = str(differs_from_memory(image, Memory(make(path, None)).read))
    assert "cannot be the kernel that runs: cannot read 129 bytes at 0x1000: not in RAM" in says


@pytest.mark.parametrize("instruction", ["73001000", "0290"])
@pytest.mark.parametrize("at", [0, 64, SAMPLE_SIZE - 2, SAMPLE_SIZE])
def test_breakpoints_in_memory_are_no_difference(path: Path, instruction: str, at: int) -> None:
    image = make(path, None)
    memory = Memory(image)
    code = bytes.fromhex(instruction)
    memory.data[at : at + len(code)] = code
    assert differs_from_memory(image, memory.read) is None
    memory.data[at] ^= 0x40
    assert differs_from_memory(image, memory.read) is not None


def test_the_work_is_bounded(path: Path) -> None:
    image = make(path, None)
    memory = Memory(image)
    differs_from_memory(image, memory.read)
    assert len(memory.reads) == SAMPLES
    assert sum(size for _, size in memory.reads) <= SAMPLES * (SAMPLE_SIZE + 1)
    assert memory.reads[0][0] == LOADED
    last, size = memory.reads[-1]
    assert last + size == LOADED + len(CODE)


def test_a_tiny_kernel(path: Path) -> None:
    path.write_bytes(Elf([(BASE, LOADED, b"tiny", 4, 5)]).bytes())
    image = load_image(path)
    memory = Memory(image)
    assert differs_from_memory(image, memory.read) is None
    memory.data[3] ^= 1
    assert differs_from_memory(image, memory.read) is not None


def test_an_image_without_read_only_memory(path: Path) -> None:
    path.write_bytes(Elf([(BASE, LOADED, b"data", 4, 6)]).bytes())
    image = load_image(path)
    assert differs_from_memory(image, Memory(image).read) is None
