"""`rcdbg describe` on the real kernel: what it says is what readelf and the decoders say."""

import json
import subprocess
from pathlib import Path

from tests.integration.test_cli import rcdbg
from tests.support.in_gdb import SCRIPT, batch, documents


def described(*arguments: str | Path) -> dict[str, object]:
    done = rcdbg("describe", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, object] = json.loads(done.stdout)["described"]
    return found


def entry(document: dict[str, object], concept: str, key: str) -> dict[str, list[dict[str, str]]]:
    concepts = document["concepts"]
    assert isinstance(concepts, dict)
    found: dict[str, list[dict[str, str]]] = concepts[concept][key]
    return found


def symbols(kernel: Path) -> dict[str, int]:
    """What binutils says; by their mangled names."""
    text = subprocess.run(
        ["nm", str(kernel)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    rows = (line.split() for line in text.splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def test_the_sample_is_recognised_and_all_is_where_nm_says(rcdbg_kernel: Path) -> None:
    found = described("--kernel", rcdbg_kernel)
    assert (found["family"], found["problems"]) == ("lab", [])
    known = symbols(rcdbg_kernel)
    for key, name in (("entry", "__interrupt"), ("exit", "__restore")):
        (place,) = entry(found, "trap", key)["found"]
        assert int(place["address"], 16) == known[name]
    (holder,) = entry(found, "processor", "type")["found"]
    assert holder["holder"].endswith("PROCESSOR")
    assert int(holder["address"], 16) in {at for name, at in known.items() if "PROCESSOR" in name}
    assert entry(found, "thread", "context")["found"][0]["type"].endswith("::Context")


def test_a_misspelt_profile_and_the_skeleton_that_mends_it(
    rcdbg_kernel: Path, tmp_path: Path
) -> None:
    wrong, mended = tmp_path / "wrong.toml", tmp_path / "mended.toml"
    wrong.write_text('[processor]\ncurrent = "curent_thread"\n')
    kernel = ("--kernel", rcdbg_kernel)
    wide = {"COLUMNS": "200"}
    text = rcdbg("describe", *kernel, "--profile", wrong, env=wide).stdout
    assert "has no curent_thread" in text
    assert "nearest: current_thread" in text
    done = rcdbg("describe", *kernel, "--profile", wrong, "--skeleton", mended)
    assert (done.returncode, done.stderr) == (0, "")
    before = mended.read_text()
    mended.write_text(before.replace("# current = ", "current = "))
    found = described(*kernel, "--profile", mended)
    (place,) = entry(found, "processor", "current")["found"]
    assert place["path"].endswith("Processor.current_thread")

    again = rcdbg("describe", *kernel, "--skeleton", mended)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already: --force writes over it" in again.stderr
    assert mended.read_text() != before
    assert rcdbg("describe", *kernel, "--skeleton", mended, "--force").returncode == 0
    assert "curent_thread" not in mended.read_text()


def test_a_stripped_kernel(rcdbg_kernel: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "os"
    subprocess.run(["llvm-objcopy", "--strip-debug", rcdbg_kernel, stripped], check=True)
    done = rcdbg("describe", "--json", "--kernel", stripped)
    assert "has no debug info" in done.stderr
    found = json.loads(done.stdout)["described"]
    assert "no debug info" in str(found["problems"])
    assert entry(found, "trap", "entry")["found"]
    assert entry(found, "thread", "type")["found"] == []


def test_gdb_says_the_same_without_a_machine(gdb: str, rcdbg_kernel: Path) -> None:
    commands = (f"file {rcdbg_kernel}", f"source {SCRIPT}", "rc describe --json")
    (document,) = documents(batch(gdb, *commands).stdout)
    assert document["described"] == described("--kernel", rcdbg_kernel)
    assert "Processor" in batch(gdb, *commands[:2], "rc describe").stdout
