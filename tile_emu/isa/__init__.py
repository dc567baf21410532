"""The instruction set: table, registers, status registers and private flag values."""
