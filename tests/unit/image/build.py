"""Assembles small ELF files and the DWARF in them."""

import struct
from dataclasses import dataclass, field

BASE = 0xFFFF_FFFF_8020_0000
LOADED = 0x8020_0000
RISCV = 243

ADDR, DATA1, DATA2, DATA4, DATA8, SDATA, UDATA = 0x01, 0x0B, 0x05, 0x06, 0x07, 0x0D, 0x0F
STRING, STRP, LINE_STRP, STRX1 = 0x08, 0x0E, 0x1F, 0x25
REF4, SEC_OFFSET, EXPRLOC, BLOCK1, FLAG_PRESENT, IMPLICIT = 0x13, 0x17, 0x18, 0x0A, 0x19, 0x21
DATA16, ADDRX1, RNGLISTX = 0x1E, 0x29, 0x23

Value = int | str | bytes
Bytes = bytes
"""For classes with a method of that name."""


@dataclass
class Symbol:
    """A symbol; `kind` 0 is a label, 1 data, 2 code; `section` 0xfff1 is absolute."""

    name: str
    address: int
    size: int = 0
    kind: int = 2
    section: int = 1
    is_local: bool = False


@dataclass
class Section:
    """A section; loaded at `address` when `flags` has "a"."""

    name: str
    content: bytes = b""
    address: int = 0
    flags: str = ""
    type: int = 1
    size: int | None = None
    link: int = 0


@dataclass
class Elf:
    """An ELF executable; `loads` are (address, load address, content, memory size, flags)."""

    loads: list[tuple[int, int, bytes, int, int]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    entry: int = BASE
    machine: int = RISCV
    type: int = 2

    def bytes(self) -> bytes:
        sections = [Section("", type=0), *self.sections, *self._symbol_table()]
        names = b"\0" + b"".join(s.name.encode() + b"\0" for s in sections) + b".shstrtab\0"
        sections.append(Section(".shstrtab", names, type=3))
        start = 64 + 56 * len(self.loads)
        programs, body, placed = self._programs(start)
        headers = b""
        for section in sections:
            offset = start + len(body)
            if "a" in section.flags:
                load = max(address for address in placed if address <= section.address)
                offset = placed[load] + section.address - load
            else:
                body += section.content
            headers += _section_header(section, offset, names)
        return self._header(start + len(body), len(sections)) + programs + body + headers

    def _symbol_table(self) -> list[Section]:
        if not self.symbols:
            return []
        strings, table = b"\0", b"\0" * 24
        for symbol in self.symbols:
            info = (0 if symbol.is_local else 1) << 4 | symbol.kind
            table += struct.pack(
                "<IBBHQQ", len(strings), info, 0, symbol.section, symbol.address, symbol.size
            )
            strings += symbol.name.encode() + b"\0"
        link = len(self.sections) + 2
        return [
            Section(".symtab", table, type=2, link=link),
            Section(".strtab", strings, type=3),
        ]

    def _programs(self, start: int) -> tuple[Bytes, Bytes, dict[int, int]]:
        """The program headers, the segments' contents, and where each begins in the file."""
        programs, body = b"", b""
        placed: dict[int, int] = {}
        for address, physical, content, memory_size, flags in self.loads:
            placed[address] = at = start + len(body)
            programs += struct.pack(
                "<IIQQQQQQ", 1, flags, at, address, physical, len(content), memory_size, 8
            )
            body += content
        return programs, body, placed

    def _header(self, sections_at: int, section_count: int) -> Bytes:
        return struct.pack(
            "<16sHHIQQQIHHHHHH",
            b"\x7fELF\x02\x01\x01" + b"\0" * 9,
            *(self.type, self.machine, 1, self.entry, 64, sections_at, 0),
            *(64, 56, len(self.loads), 64, section_count, section_count - 1),
        )


def _section_header(section: Section, offset: int, names: bytes) -> bytes:
    flags = sum({"w": 1, "a": 2, "x": 4, "C": 0x800}[letter] for letter in section.flags)
    size = len(section.content) if section.size is None else section.size
    name = names.index(section.name.encode() + b"\0") if section.name else 0
    entry_size = 24 if section.type == 2 else 0
    return struct.pack(
        "<IIQQQQIIQQ",
        *(name, section.type, flags, section.address, offset, size),
        *(section.link, 0, 1, entry_size),
    )


def note(build_id: bytes) -> bytes:
    """A GNU build id note."""
    return struct.pack("<III4s", 4, len(build_id), 3, b"GNU\0") + build_id


def kernel(*, symbols: list[Symbol] | None = None, dwarf: "Dwarf | None" = None) -> Elf:
    """A kernel of 64 bytes of code, 32 of constants, a build id, 16 of data and 4 KiB of .bss."""
    text = bytes(range(64))
    constants = b"constants that nobody changes..." + note(bytes.fromhex("00112233445566778899"))
    data = b"initial contents"
    sections = [
        Section(".text", address=BASE, flags="ax", size=64),
        Section(".rodata", address=BASE + 0x1000, flags="a", size=32),
        Section(".note.gnu.build-id", address=BASE + 0x1020, flags="a", size=26, type=7),
        Section(".data", address=BASE + 0x2000, flags="wa", size=16),
        Section(".bss", address=BASE + 0x2010, flags="wa", size=4096, type=8),
    ]
    loads = [
        (BASE, LOADED, text, 64, 5),
        (BASE + 0x1000, LOADED + 0x1000, constants, len(constants), 4),
        (BASE + 0x2000, LOADED + 0x2000, data, 16 + 4096, 6),
    ]
    if dwarf is not None:
        sections += dwarf.sections()
    return Elf(loads, sections, symbols or [])


def uleb(value: int) -> bytes:
    """An unsigned LEB128 number."""
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def sleb(value: int) -> bytes:
    """A signed LEB128 number."""
    out = b""
    while not -64 <= value < 64:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value & 0x7F])


class Die:
    """A DIE; attributes are (DW_AT, form, value). A reference's value is another Die."""

    def __init__(
        self,
        tag: int,
        *attributes: "tuple[int, int, Value | Die]",
        children: "tuple[Die, ...] | list[Die]" = (),
    ) -> None:
        self.tag = tag
        self.attributes = list(attributes)
        self.children = list(children)
        self.offset = 0


@dataclass
class Dwarf:
    """One compilation unit; the root is a DW_TAG_compile_unit around `dies`."""

    dies: list[Die]
    version: int = 4
    root: list[tuple[int, int, "Value | Die"]] = field(default_factory=list)
    line: bytes = b""
    extra: dict[str, bytes] = field(default_factory=dict)

    def sections(self) -> list[Section]:
        """The .debug_* sections."""
        found = {"info": b"", "abbrev": b"", "str": b"", "line": self.line, **self.extra}
        abbrevs: dict[bytes, int] = {}
        strings = bytearray(b"\0")
        root = Die(0x11, *self.root, children=self.dies)
        # Twice: the first pass finds the offsets that references need.
        for _ in range(2):
            header = 12 if self.version >= 5 else 11
            body = self._die(root, header, abbrevs, strings)
            if self.version >= 5:
                unit = struct.pack("<HBBI", self.version, 1, 8, 0)
            else:
                unit = struct.pack("<HIB", self.version, 0, 8)
            found["info"] = struct.pack("<I", len(unit + body)) + unit + body
        found["abbrev"] = b"".join(uleb(code) + abbrev for abbrev, code in abbrevs.items()) + b"\0"
        found["str"] = bytes(strings) + found["str"]
        return [Section(f".debug_{name}", content) for name, content in found.items() if content]

    def _die(self, die: Die, offset: int, abbrevs: dict[bytes, int], strings: bytearray) -> bytes:
        die.offset = offset
        abbrev = uleb(die.tag) + bytes([bool(die.children)])
        values = b""
        for attribute, form, value in die.attributes:
            abbrev += uleb(attribute) + uleb(form)
            if form == IMPLICIT:
                assert isinstance(value, int)
                abbrev += sleb(value)
            else:
                values += _value(form, value, strings)
        abbrev += b"\0\0"
        out = uleb(abbrevs.setdefault(abbrev, len(abbrevs) + 1)) + values
        for child in die.children:
            out += self._die(child, offset + len(out), abbrevs, strings)
        return out + b"\0" if die.children else out


def _value(form: int, value: Value | Die, strings: bytearray) -> bytes:
    sizes = {ADDR: 8, DATA1: 1, DATA2: 2, DATA4: 4, DATA8: 8, SEC_OFFSET: 4, LINE_STRP: 4}
    sizes |= {STRX1: 1, ADDRX1: 1}
    match form, value:
        case 0x08, str(text):
            return text.encode() + b"\0"
        case 0x0E, str(text):
            at = len(strings)
            strings += text.encode() + b"\0"
            return struct.pack("<I", at)
        case 0x13, Die():
            return struct.pack("<I", value.offset)
        case 0x18, bytes(content):
            return uleb(len(content)) + content
        case 0x0A, bytes(content):
            return bytes([len(content)]) + content
        case 0x1E, bytes(content):
            return content
        case 0x19, _:
            return b""
        case 0x0D, int(number):
            return sleb(number)
        case ((0x0F | 0x23), int(number)):
            return uleb(number)
        case _, int(number):
            return (number & (1 << (8 * sizes[form])) - 1).to_bytes(sizes[form], "little")
    raise AssertionError((form, value))


def base(name: str, size: int, encoding: int) -> Die:
    """A DW_TAG_base_type; encoding 5 is signed, 7 unsigned, 2 bool, 0x10 char."""
    return Die(0x24, (0x03, STRP, name), (0x0B, DATA1, size), (0x3E, DATA1, encoding))


def member(name: str, of: Die, offset: int) -> Die:
    """A DW_TAG_member."""
    return Die(0x0D, (0x03, STRP, name), (0x49, REF4, of), (0x38, DATA1, offset))


def struct_type(name: str, size: int, *children: Die, tag: int = 0x13) -> Die:
    """A DW_TAG_structure_type, or a union with tag 0x17."""
    return Die(tag, (0x03, STRP, name), (0x0B, DATA2, size), children=children)


def parameter(name: str, of: Die) -> Die:
    """A DW_TAG_template_type_parameter."""
    return Die(0x2F, (0x03, STRP, name), (0x49, REF4, of))


def namespace(name: str, *children: Die) -> Die:
    """A DW_TAG_namespace."""
    return Die(0x39, (0x03, STRP, name), children=children)


def static(name: str, of: Die, address: int, linkage_name: str = "", line: int = 7) -> Die:
    """A DW_TAG_variable at a fixed address."""
    return Die(
        0x34,
        (0x03, STRP, name),
        (0x49, REF4, of),
        (0x3A, DATA1, 1),
        (0x3B, DATA1, line),
        (0x02, EXPRLOC, b"\x03" + address.to_bytes(8, "little")),
        (0x6E, STRP, linkage_name),
    )


def function(name: str, low: int, size: int, *more: tuple[int, int, Value | Die]) -> Die:
    """A DW_TAG_subprogram with code."""
    return Die(0x2E, (0x03, STRP, name), (0x11, ADDR, low), (0x12, DATA4, size), *more)


def line_program(rows: bytes, *, version: int = 4) -> bytes:
    """A .debug_line of /build/src/main.rs and /core/ops.rs; `rows` are the opcodes."""
    opcodes = bytes([13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
    if version >= 5:
        formats = bytes([1, 1, STRING]), bytes([2, 1, STRING, 2, 0x0B])
        tables = formats[0] + bytes([3]) + b"/build\0src\0/core\0"
        tables += formats[1] + bytes([3]) + b"main.rs\0\x01" + b"main.rs\0\x01" + b"ops.rs\0\x02"
    else:
        tables = b"src\0/core\0\0" + b"main.rs\0\x01\0\0" + b"ops.rs\0\x02\0\0" + b"\0"
    fixed = bytes([1, 1, 1, 0xFB, 14]) if version >= 4 else bytes([1, 1, 0xFB, 14])
    header = fixed + opcodes + tables
    unit = struct.pack("<H", version) + (bytes([8, 0]) if version >= 5 else b"")
    unit += struct.pack("<I", len(header)) + header + rows
    return struct.pack("<I", len(unit)) + unit


def rich_kernel() -> Elf:
    """A kernel with one of everything: types of each kind, statics, functions, lines."""
    u8, u64, i8 = base("u8", 1, 7), base("u64", 8, 7), base("i8", 1, 5)
    pointer = Die(0x0F, (0x03, STRP, "*const u64"), (0x49, REF4, u64))
    array = Die(0x01, (0x49, REF4, u8), children=[Die(0x21, (0x49, REF4, u64), (0x37, DATA1, 4))])
    some = struct_type("Some", 8, member("__0", pointer, 0), parameter("T", pointer))
    none = struct_type("None", 8)
    niche = member("", u64, 0)
    option = struct_type(
        "Option<*const u64>",
        8,
        Die(
            0x33,
            (0x15, REF4, niche),
            children=[
                niche,
                Die(0x19, (0x16, DATA1, 0), children=[member("None", none, 0)]),
                Die(0x19, children=[member("Some", some, 0)]),
            ],
        ),
        none,
        some,
    )
    color = Die(
        0x04,
        (0x03, STRP, "Color"),
        (0x0B, DATA1, 1),
        (0x49, REF4, u8),
        children=[
            Die(0x28, (0x03, STRP, "Red"), (0x1C, DATA1, 1)),
            Die(0x28, (0x03, STRP, "Blue"), (0x1C, SDATA, -1)),
        ],
    )
    union = struct_type("U", 8, member("a", u64, 0), member("b", array, 0), tag=0x17)
    alias = Die(0x16, (0x03, STRP, "Word"), (0x49, REF4, u64))
    thread = struct_type("Thread", 16, member("id", alias, 0), member("color", i8, 8))
    rows = b"\0\x09\x02" + BASE.to_bytes(8, "little") + b"\x14\x4b\x4b\x02\x10\0\x01\x01"
    dwarf = Dwarf(
        [
            namespace("os", option, color, union, thread, static("THREAD", thread, BASE + 0x2000)),
            namespace("os", function("start", BASE, 32, (0x3A, DATA1, 1), (0x3B, DATA1, 3))),
            *(u8, u64, i8, pointer, array, alias),
        ],
        root=[(0x10, SEC_OFFSET, 0), (0x1B, STRP, "/build")],
        line=line_program(rows),
    )
    return kernel(symbols=[Symbol("_start", BASE, 64)], dwarf=dwarf)
