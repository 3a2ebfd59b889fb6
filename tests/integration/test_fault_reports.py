"""`fault` on the scenario whose threads fault one after the other: each for its own reason."""

import re

import pytest

from rcdbg.model.faults.devices import devices
from rcdbg.model.faults.explain import read_fault
from rcdbg.model.kernel import Kernel
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import Trapped, trap
from rcdbg.views.hart.fault import view
from rcdbg.views.render import render_text

FAULTS = (2, 12, 13, 15)
SAID = (
    r"load page fault at 0x60000000 from S-mode: nothing is mapped there",
    r"store page fault at \S+ from S-mode: the page is not writable: .*CONSTANT.* in \.rodata",
    r"instruction page fault at \S+ from S-mode: the page is not executable: .*SURVIVORS.* \.bss",
    r"store page fault at \S+ from S-mode: nothing .* 8 bytes below the stack of thread \d",
    r"illegal instruction from S-mode at \S+illegal_instruction\S*: unimp",
)
"""By kernel/os/src/scenarios/fault.rs."""


class Faulted(Trapped):
    """The handler is entered for one of the faults."""

    def happened(self, kernel: Kernel) -> bool:
        return kernel.csr("scause") in FAULTS


@pytest.mark.every_kernel
def test_each_thread_of_the_scenario(rcdbg_boot: BootKernel) -> None:
    run, told = rcdbg_boot("fault"), list[str]()
    for _ in SAID:
        kernel = run.until(Faulted())
        assert kernel is not None
        report = read_fault(kernel)
        assert report.moment is not None
        assert report.moment.is_now
        assert report.matches is not False
        assert "is no fault" not in render_text(view(report))
        told.append(report.headline)
    for pattern in SAID:
        assert [line for line in told if re.match(pattern, line)], told


def test_the_devices_are_where_qemu_has_them(rcdbg_boot: BootKernel) -> None:
    """Against QEMU's own map of physical memory."""
    story = rcdbg_boot("preempt")
    kernel = story.until(trap("timer"))
    assert kernel is not None
    found = {device.name: device for device in devices(kernel)}
    theirs = story.machine.qemu.monitor.hmp("info mtree")
    for ours, name in (
        ("serial", "serial"),
        ("plic", "riscv.sifive.plic"),
        ("rtc", "goldfish_rtc"),
    ):
        match = re.search(rf"([0-9a-f]{{16}})-[0-9a-f]{{16}} \(.*\): {re.escape(name)}", theirs)
        assert match is not None, name
        assert found[ours].start == int(match[1], 16)
        assert not found[ours].is_assumed
