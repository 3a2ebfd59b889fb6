"""What the ELF says: symbols, sections, build id, source lines, and type layouts from DWARF."""
