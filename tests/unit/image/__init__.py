"""The image layer, without a kernel: ELFs and DWARF are assembled byte by byte."""
