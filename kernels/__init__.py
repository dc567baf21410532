"""Kernels for the emulated chip: codelets in tile assembly, planners, and the calls that put them together."""
