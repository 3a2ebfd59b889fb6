"""The architecture's own formats: register names, CSR fields, trap causes, paging.

Facts from "The RISC-V Instruction Set Manual, Volume II: Privileged Architecture" (version 1.12
unless said otherwise). Pure functions of integers; nothing here knows a kernel or a machine.
"""
