"""What the machine holds: registers, CSRs and memory, behind one small Protocol."""
