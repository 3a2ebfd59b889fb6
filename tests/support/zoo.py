"""The zoo: a program with one of each kind of Rust value, built in place of the kernel."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.variants import KERNEL, ROOT, TARGET

SOURCE = ROOT / "tests" / "zoo"


def build_zoo(work: Path, *arguments: str) -> Path:
    """Its ELF; `arguments` are cargo's, such as --release."""
    source = work / "source"
    shutil.copytree(KERNEL, source, ignore=shutil.ignore_patterns("target"))
    shutil.copy2(SOURCE / "main.rs", source / "os" / "src" / "main.rs")
    shutil.copy2(SOURCE / "linker.ld", source / "os" / "src" / "linker.ld")
    manifest = source / "os" / "Cargo.toml"
    text = manifest.read_text()
    changed = text.replace('"spin_mutex", "once"]', '"spin_mutex", "once", "rwlock"]')
    assert changed != text, "the kernel's Cargo.toml asks spin for other features now"
    manifest.write_text(changed)
    target = work / "target"
    subprocess.run(
        [source / "build.sh", "build", *arguments],
        check=True,
        # Vec and Box with an allocator of their own are not stable yet.
        env={**os.environ, "CARGO_TARGET_DIR": str(target), "RUSTC_BOOTSTRAP": "1"},
    )
    profile = "release" if "--release" in arguments else "debug"
    # Without the raw image beside it, which knows nothing of where it is to lie.
    return Path(shutil.copy2(target / TARGET / profile / "os", work / "zoo"))
