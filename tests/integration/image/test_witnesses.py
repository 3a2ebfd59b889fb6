"""pyelftools, binutils and LLVM read the same ELF: what they say is what the image says."""

import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarf_expr import DWARFExprOp, DWARFExprParser
from elftools.elf.elffile import ELFFile

from rcdbg.image import cache
from rcdbg.image.demangle import demangle
from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.image.types import BaseType, EnumType, StructType, UnionType
from tests.support.tools import tool

PIECES = 1500
"""How many code addresses are compared with LLVM."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kernel: somebody may build it again meanwhile."""
    found = default_kernel()
    if not found.is_file():
        pytest.fail(f"no kernel at {found}: run `make kernel` first", pytrace=False)
    return Path(shutil.copy(found, tmp_path_factory.mktemp("kernel") / "os"))


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def image(kernel: Path) -> Image:
    return load_image(kernel)


def run(*command: str | Path, text: str = "") -> list[str]:
    """The output's lines."""
    program, *arguments = map(str, command)
    done = subprocess.run(
        [tool(program), *arguments], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def dies(kernel: Path) -> list[DIE]:
    """Every DIE, as pyelftools reads it."""
    with kernel.open("rb") as file:
        units = ELFFile(file).get_dwarf_info().iter_CUs()
        return [die for unit in units for die in unit.iter_DIEs()]


def value(die: DIE, attribute: str) -> Any:
    """An attribute's value, or None; strings decoded."""
    found = die.attributes.get(f"DW_AT_{attribute}")
    if found is None:
        return None
    return found.value.decode() if isinstance(found.value, bytes) else found.value


def test_build_id_and_segments_as_readelf(image: Image, kernel: Path) -> None:
    notes = "\n".join(run("readelf", "-nW", kernel))
    found = re.search(r"Build ID: (\w+)", notes)
    if found is not None:
        assert image.build_id == found[1]
    loads = [line.split() for line in run("readelf", "-lW", kernel) if " LOAD " in line]
    # LOAD, offset, virtual, physical, size in the file, size in memory, flags, alignment
    numbers = [tuple(int(word, 16) for word in line[1:6]) for line in loads]
    assert numbers == [
        (s.offset, s.vaddr, s.paddr, s.file_size, s.memory_size) for s in image.segments
    ]
    for segment in image.segments:
        if segment.paddr >> 56:
            continue  # a section without AT() in the linker script
        assert image.physical(segment.vaddr) == segment.paddr


def test_symbols_as_nm(image: Image, kernel: Path) -> None:
    said = set()
    for line in run("nm", kernel):
        address, _, name = line.split(maxsplit=2)
        if not name.startswith((".L", "$")):
            said.add((int(address, 16), name))
    assert {(symbol.address, symbol.name) for symbol in image.symbols} == said
    for symbol in image.symbols:
        if symbol.kind == "code" and symbol.size:
            covering = image.symbols.covering(symbol.address + symbol.size - 1)
            assert covering is not None
            assert covering.address >= symbol.address


def test_demangled_names_as_llvm_and_binutils(image: Image) -> None:
    names = [s.name for s in image.symbols if s.name.startswith(("_R", "_ZN"))]
    assert len(names) > 20
    for filt, prefix in (("llvm-cxxfilt", "_R"), ("c++filt", "_ZN")):
        mangled = [name for name in names if name.startswith(prefix)]
        said = run(filt, *(["-s", "rust"] if filt == "c++filt" else []), text="\n".join(mangled))
        for name, readable in zip(mangled, said, strict=True):
            # Binutils keeps the hash of the legacy scheme, and LLVM its own suffix.
            assert demangle(name) == re.sub(r"::h[0-9a-f]{16}$| \([.\w]+\)$", "", readable)


def test_every_symbol_is_found_by_its_own_name(image: Image) -> None:
    for symbol in image.symbols:
        if symbol.kind == "code" and not symbol.is_local:
            assert image.symbols.address_of(symbol.name) == symbol.address
            assert image.symbols.at(symbol.address) is not None


def test_structs_and_enums_as_pyelftools(image: Image, dies: list[DIE]) -> None:
    compared = 0
    for die in dies:
        if die.tag not in ("DW_TAG_structure_type", "DW_TAG_union_type"):
            continue
        if "DW_AT_declaration" in die.attributes:
            continue
        compared += 1
        found = image.types.type(die.offset)
        children = list(die.iter_children())
        assert found.size == value(die, "byte_size")
        assert found.name.endswith(value(die, "name"))
        part = next((c for c in children if c.tag == "DW_TAG_variant_part"), None)
        if part is not None:
            assert isinstance(found, EnumType)
            check_enum(image, part, found)
            continue
        assert isinstance(found, UnionType if die.tag == "DW_TAG_union_type" else StructType)
        assert [(m.name, m.offset, m.type) for m in found.members] == [
            (
                value(child, "name"),
                value(child, "data_member_location"),
                child.get_DIE_from_attribute("DW_AT_type").offset,
            )
            for child in children
            if child.tag == "DW_TAG_member"
        ]
    assert compared > 1000


def check_enum(image: Image, part: DIE, found: EnumType) -> None:
    """Compares the variants and their discriminants."""
    variants = [child for child in part.iter_children() if child.tag == "DW_TAG_variant"]
    bits = 8 * image.types.type(found.discriminant.type).size if found.discriminant else 0
    for variant, mine in zip(variants, found.variants, strict=True):
        (member,) = variant.iter_children()
        assert value(member, "name") == mine.name
        said = variant.attributes.get("DW_AT_discr_value")
        if said is None:
            assert mine.discriminants == ()
            continue
        number = said.value
        if not isinstance(number, int):
            number = int.from_bytes(bytes(number), "little")
        ((low, high),) = mine.discriminants
        assert low == high
        assert (low - number) % (1 << bits) == 0


def test_base_types_as_pyelftools(image: Image, dies: list[DIE]) -> None:
    names = {2: "bool", 4: "float", 5: "signed", 6: "signed", 7: "unsigned", 8: "unsigned"}
    names[16] = "char"
    for die in dies:
        if die.tag == "DW_TAG_base_type":
            expected = BaseType(
                value(die, "name"), value(die, "byte_size"), names[value(die, "encoding")]  # type: ignore[arg-type]
            )  # fmt: skip
            assert image.types.type(die.offset) == expected


def fixed_address(die: DIE) -> int | None:
    """The address of a variable, unless it is a local or in several pieces."""
    location = die.attributes.get("DW_AT_location")
    if location is None or location.form != "DW_FORM_exprloc":
        return None
    match DWARFExprParser(die.cu.structs).parse_expr(location.value):
        case [DWARFExprOp(op_name="DW_OP_addr", args=[start]), *more]:
            address = int(start)
        case [DWARFExprOp(op_name="DW_OP_addrx", args=[index]), *more]:
            address = int(die.dwarfinfo.get_addr(die.cu, index))
        case _:
            return None
    match more:
        case []:
            return address
        case [DWARFExprOp(op_name="DW_OP_plus_uconst", args=[offset])]:
            return address + int(offset) if address else None
    return None


def test_functions_and_statics_as_pyelftools(image: Image, dies: list[DIE]) -> None:
    code, data = {}, {}
    for die in dies:
        if die.tag == "DW_TAG_subprogram" and value(die, "low_pc"):
            code[value(die, "low_pc")] = value(die, "high_pc")
        address = fixed_address(die) if die.tag == "DW_TAG_variable" else None
        if address:
            data[address, die.get_DIE_from_attribute("DW_AT_type").offset] = die
    mine = {f.address: f.size for f in image.functions if len(f.ranges) == 1}
    assert code
    assert mine == code
    vtables = 0
    statics = {(s.address, s.type): s for s in image.types.statics()}
    for key, die in data.items():
        if "{vtable}" in value(die, "name"):
            vtables += 1
            concrete = image.types.vtable_type(key[0])
            if "DW_AT_containing_type" in die.get_DIE_from_attribute("DW_AT_type").attributes:
                assert concrete is not None
        else:
            static = statics.pop(key)
            assert static.path.rpartition("::")[2] == value(die, "name")
            assert static.linkage_name == (value(die, "linkage_name") or "")
            assert static.line == value(die, "decl_line")
    assert statics == {}
    assert vtables


def test_statics_are_where_their_symbols_are(image: Image) -> None:
    for static in image.types.statics():
        if static.linkage_name:
            assert image.symbols.address_of(static.linkage_name) == static.address


def test_lines_as_llvm(image: Image, kernel: Path) -> None:
    text = image.section(".text")
    assert text is not None
    places = random.Random(1)
    pcs = [text.address + places.randrange(text.size // 2) * 2 for _ in range(PIECES)]
    said = run(
        "llvm-symbolizer",
        f"--obj={kernel}",
        "--inlining=false",
        "--functions=none",
        text="\n".join(map(hex, pcs)),
    )
    for pc, place in zip(pcs, (line for line in said if line), strict=True):
        file, line, column = place.rsplit(":", 2)
        found = image.lines.lookup(pc)
        if line == "0":
            assert found is None
        else:
            assert found is not None, hex(pc)
            assert (found.file, found.line, found.column) == (file, int(line), int(column))


def test_addresses_of_a_line_lead_back_to_it(image: Image) -> None:
    for function in list(image.functions)[:200]:
        place = image.lines.lookup(function.address)
        if place is not None:
            addresses = image.lines.addresses(place.file, place.line)
            assert function.address in addresses
            for address in addresses:
                there = image.lines.lookup(address)
                assert there is not None
                assert (there.file, there.line) == (place.file, place.line)


def test_a_second_start_says_the_same_and_is_quick(kernel: Path, image: Image) -> None:
    _ = image.types, image.lines
    started = time.perf_counter()
    again = load_image(kernel)
    statics = list(again.types.statics())
    lookup = again.lines.lookup(again.entry)
    spent = time.perf_counter() - started
    assert statics == list(image.types.statics())
    assert lookup == image.lines.lookup(image.entry)
    assert list(again.functions) == list(image.functions)
    assert again.types._rows is not image.types._rows
    assert isinstance(again.types._rows, cache.StoredRows)
    # 10 ms on an idle machine.
    assert spent < 0.5


def test_the_first_start_takes_no_seconds(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    started = time.process_time()
    _ = load_image(kernel).types
    # 0.25 s on an idle machine; pyelftools alone would need 1.3 s.
    assert time.process_time() - started < 1.5
