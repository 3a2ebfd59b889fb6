"""`rc until-sret` where a trap comes inside a trap's handler."""

from pathlib import Path

import pytest

from rcdbg.model.threads.trap import kernel_stack
from tests.integration.gdb.talk import WHERE, contexts, goes_on_with, registers_of, said
from tests.support.in_gdb import InGdb

# Has a software interrupt come in the handler. The kernel would give up then: so its handler is
# passed over, and the inner trap's Context is restored at once.
NESTED = """
import gdb

class Nested(gdb.Breakpoint):
    inner = 0

    def stop(self):
        sp = int(gdb.parse_and_eval("$sp")) & (1 << 64) - 1
        if {start:#x} <= sp < {end:#x}:
            if not Nested.inner:
                pend()
            return False
        Nested.inner += 1
        gdb.execute("set $sip = 0")
        # SPIE: the outer handler goes on without interrupts.
        word = int(gdb.parse_and_eval("$a0")) + 32 * 8
        memory = gdb.selected_inferior()
        sstatus = int.from_bytes(bytes(memory.read_memory(word, 8)), "little") & ~0x20
        memory.write_memory(word, sstatus.to_bytes(8, "little"))
        gdb.execute("set $pc = {restore:#x}")
        return {stops}

def pend():
    for register, value in (("sie", "2"), ("sip", "2"), ("sstatus", "$sstatus | 2")):
        gdb.execute(f"set ${{register}} = {{value}}")

Nested("*{handler:#x}", internal=True)
"""


def nest(in_gdb: InGdb, file: Path, *, stops: bool = False) -> str:
    """A gdb command that makes `pend()` known; it is called when the next handler starts, too."""
    stack = kernel_stack(in_gdb.run.kernel())
    handler, restore = (in_gdb.run.image.symbols.address_of(name)
                        for name in ("handle_interrupt", "__restore"))  # fmt: skip
    file.write_text(
        NESTED.format(
            start=stack.start, end=stack.end, handler=handler, restore=restore, stops=stops
        )
    )
    return f"source {file}"


INNER = "python print('@inner=%#x' % Nested.inner)"


@pytest.mark.every_kernel
def test_until_sret_goes_over_a_trap_inside_the_handler(ticked: InGdb, tmp_path: Path) -> None:
    expected = contexts(ticked)
    text = ticked(nest(ticked, tmp_path / "nest.py"), "python pend()", "rc until-sret", *WHERE,
                  INNER)  # fmt: skip
    assert said(text, "inner") == [1]
    ((number,), (registers,)) = (said(text, "id"), registers_of(text))
    assert goes_on_with(registers, expected[number])


@pytest.mark.every_kernel
def test_until_sret_goes_over_a_trap_inside_the_next_handler(ticked: InGdb, tmp_path: Path) -> None:
    stacks = {t.id: t.stack for t in ticked.run.state().processor.threads}
    script = nest(ticked, tmp_path / "nest.py")
    text = ticked("rc until-sret", script, "rc until-sret", *WHERE, INNER)
    assert said(text, "inner") == [1]
    ((number,), (registers,)) = (said(text, "id"), registers_of(text))
    stack = stacks[number]
    assert stack is not None
    assert registers["sp"] in stack
    assert registers["pc"] == registers["sepc"]


@pytest.mark.every_kernel
def test_until_sret_of_the_inner_trap(ticked: InGdb, tmp_path: Path) -> None:
    """It goes back into the outer handler; the next one ends that."""
    stack, expected = kernel_stack(ticked.run.kernel()), contexts(ticked)
    script = nest(ticked, tmp_path / "nest.py", stops=True)
    text = ticked(script, "python pend()", "continue", *["rc until-sret", *WHERE] * 2, INNER)
    assert said(text, "inner") == [1]
    handler, thread = registers_of(text)
    assert handler["sp"] in stack
    assert handler["pc"] == handler["sepc"]
    assert goes_on_with(thread, expected[said(text, "id")[1]])
