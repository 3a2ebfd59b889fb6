"""The documentation of descriptions names every table and key that there is."""

import re
from dataclasses import fields
from pathlib import Path

from rcdbg.kernels.description import UNKNOWN, Description

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "decoders" / "descriptions.md"


def test_every_table_and_key_is_told() -> None:
    text = DOCUMENT.read_text().partition("## The tables")[2]
    told = {name: part for part in text.split("\n\n") for name in re.findall(r"`\[(\w+)\]`", part)}
    for concept in fields(Description):
        if concept.name in ("family", "title"):
            continue
        keys = {key.name for key in fields(getattr(UNKNOWN, concept.name))}
        named = set(re.findall(r"`(\w+)(?: = true)?`", told[concept.name]))
        assert keys <= named, f"[{concept.name}]"
