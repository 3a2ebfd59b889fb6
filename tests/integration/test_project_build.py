"""`rcdbg build`, `rcdbg init` and --build, in a project as students have it."""

import shutil
from pathlib import Path

import pytest

from rcdbg.image.elf import load_image
from tests.support.camp import Camp, camp


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Camp:
    """The project, built by its own Makefile."""
    project = camp(tmp_path_factory.mktemp("built"))
    done = project.run("make", "build")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(built: Camp, tmp_path: Path) -> Camp:
    """A copy of it."""
    shutil.copytree(built.os.parent, tmp_path / "camp", symlinks=True)
    return Camp(tmp_path / "camp" / "os", tmp_path / "camp" / "user", built.environment)


def test_a_build_with_debug_info_beside_the_users_own(project: Camp) -> None:
    own, files = project.elf.read_bytes(), project.files()
    without = project.rcdbg("print", "ROUNDS", "--at", "reached:3")
    assert without.returncode == 2
    assert "has no debug info" in without.stderr
    assert "`rcdbg build` in its folder makes a build that has" in without.stderr
    assert "`rcdbg build`" in project.rcdbg("show", "csr", "--at", "reached").stderr

    done = project.rcdbg("build")
    assert done.returncode == 0, done.stderr
    assert "debug info for target/" in done.stdout
    assert "whose code is the same" in done.stdout
    assert project.elf.read_bytes() == own
    assert project.files() == files, "nothing of the project is edited"
    user = [p for p in (project.user / "target").rglob("hello") if "rcdbg" in p.parts]
    assert user == [], "user programs are built as ever"
    # The code is the same by the bytes, and only one of the two has debug info.
    one, two = load_image(project.elf), load_image(project.debug_elf)
    text = one.section(".text")
    assert text is not None
    assert two.section(".text") == text
    assert one.read(text.address, text.size) == two.read(text.address, text.size)
    assert (one.has_debug_info, two.has_debug_info) == (False, True)

    # What is started is the user's own; the debug info is the other's.
    found = project.rcdbg("print", "ROUNDS", "--at", "reached:3")
    assert found.returncode == 0, found.stderr
    program = (project.user / "target").rglob("riscv64*/release/hello")
    size = next(program).stat().st_size
    # Two rounds are over, and the third has added its share (tests/camp/os/src/main.rs).
    assert f"ROUNDS: {3 * size} " in found.stdout
    said = f"has no debug info: {project.debug_elf.relative_to(project.os)}, with the same code"
    assert said in found.stderr


def test_code_that_is_not_the_same_is_told_and_not_used(project: Camp) -> None:
    assert project.rcdbg("build").returncode == 0
    main = project.os / "src" / "main.rs"
    main.write_text(main.read_text().replace("(round & 0)", "(round & 1)"))
    done = project.rcdbg("build")
    assert done.returncode == 1
    assert "has debug info, but its code is not that of target/" in done.stdout
    assert ".text " in done.stdout
    assert "rcdbg --kernel target/rcdbg/" in done.stdout
    shown = project.rcdbg("show", "csr", "--at", "reached")
    assert "with the same code" not in shown.stderr
    # --build brings both up to date.
    shown = project.rcdbg("show", "csr", "--at", "reached", "--build")
    assert "with the same code, is used" in shown.stderr
    assert shown.stdout.startswith("satp")


def test_a_build_that_fails_is_shown_whole(project: Camp) -> None:
    main = project.os / "src" / "main.rs"
    main.write_text(main.read_text().replace("let round =", "let round =="))
    (project.os / "src" / "linker.ld").write_text("")
    own = project.run("make", "build")
    for words in (("build",), ("show", "csr", "--build")):
        done = project.rcdbg(*words)
        assert done.returncode == own.returncode
        assert done.stdout == ""
        for line in own.stderr.splitlines():
            if line.startswith("error"):
                assert line in done.stderr
        assert done.stderr.endswith(f"`make build` ended with status {own.returncode}\n")


def test_a_project_that_was_never_built_is_built_first(tmp_path: Path) -> None:
    project = camp(tmp_path)
    (project.os / "Makefile").unlink()
    shutil.copy2(project.os / "src" / "linker-virt.ld", project.os / "src" / "linker.ld")
    (project.user / "Makefile").rename(project.os / "of-user")
    assert project.run("make", "-C", "../user", "-f", "../os/of-user").returncode == 0
    (project.os / "rcdbg.toml").write_text('build = "cargo build --release $CARGO_FLAGS"\n')
    done = project.rcdbg("build")
    assert done.returncode == 0, done.stderr
    assert "since there is no build yet: cargo build --release" in done.stderr
    assert "whose code is the same" in done.stdout


def test_a_file_for_the_folder(project: Camp) -> None:
    done = project.rcdbg("init")
    assert done.returncode == 0, done.stderr
    assert "qemu by the runner in" in done.stdout
    assert "build by its Makefile" in done.stdout
    written = (project.os / "rcdbg.toml").read_text()
    assert 'build = "make build"' in written
    assert "-bios none -kernel target/" in written
    assert "by rcdbg.toml: qemu" in project.rcdbg("show", "csr", "--at", "reached").stderr

    (project.os / "rcdbg.toml").write_text('build = "true"\n')
    again = project.rcdbg("init")
    assert again.returncode == 2
    assert again.stderr == "rcdbg: rcdbg.toml is there already: --force writes over it\n"
    assert (project.os / "rcdbg.toml").read_text() == 'build = "true"\n'
    ran = project.rcdbg("build")
    assert ran.returncode == 2
    assert "`true` had cargo build nothing into" in ran.stderr
    assert project.rcdbg("init", "--force").returncode == 0
    assert (project.os / "rcdbg.toml").read_text() == written


def test_a_folder_without_a_project(tmp_path: Path, built: Camp) -> None:
    empty = Camp(tmp_path, tmp_path, built.environment)
    done = empty.rcdbg("build")
    assert done.returncode == 2
    assert "no kernel that cargo builds in" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = empty.rcdbg("init")
    assert "qemu is not known: fill it in; build is not known" in done.stdout
    assert '# qemu = "qemu-system-riscv64' in (tmp_path / "rcdbg.toml").read_text()
