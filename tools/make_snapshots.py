"""Make the snapshots in tests/snapshots anew, from the kernel in $RCDBG_KERNEL or the built one.

They are kept to see that files of today can be read tomorrow: make them anew only when the format
changes, and keep one of the old ones then. Local labels and the names of this machine's folders are
taken out of the ELF first; wants llvm-objcopy.
"""

import subprocess
import tempfile
from pathlib import Path

from rcdbg.guest.snapshot_writer import write_snapshot
from rcdbg.image.locate import default_kernel
from rcdbg.trace.conditions import Condition, trap
from rcdbg.trace.run import Boot, Run, machine_of

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "snapshots"

KEPT: tuple[tuple[str, str, Condition, int], ...] = (
    ("three-threads-preempted", "scenario=preempt interval=20000", trap("timer"), 5),
    ("threads-asleep", "scenario=sleepers interval=200000", trap("timer"), 2),
    ("load-page-fault-in-a-thread", "scenario=fault", trap("load page fault"), 1),
)
"""Names, boot arguments, and the how-manieth of which condition."""


def neutral_elf(elf: Path, folder: Path) -> Path:
    """A copy without local labels and without the names of folders; sizes stay as they are."""
    copy = folder / "os"
    subprocess.run(["llvm-objcopy", "--discard-locals", elf, copy], check=True)
    data = copy.read_bytes()
    for name in (str(elf.parents[3]), str(Path.home())):
        stand_in = "/" + "home/user/kernel".rjust(len(name) - 1, "_")[-(len(name) - 1) :]
        data = data.replace(name.encode(), stand_in.encode())
    copy.write_bytes(data)
    return copy


def main() -> None:
    """Write them all."""
    with tempfile.TemporaryDirectory() as folder:
        elf = neutral_elf(default_kernel(), Path(folder))
        for name, append, condition, count in KEPT:
            with Run(Boot(elf, append)) as run:
                for _ in range(count):
                    run.until(condition)
                path = FOLDER / f"{name}.snap"
                size = write_snapshot(path, machine_of(run), run.target.read_phys, small=True)
                print(f"{path.name}: {size} bytes")


if __name__ == "__main__":
    main()
