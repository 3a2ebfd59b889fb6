"""DWARF: units, types, lines of the call stack."""
