"""tile_emu runs Graphcore IPU machine code without an IPU.

The way through it, one station after another: kernel call, plan, graph, image, machine, recording, report. Importing
this package loads nothing heavy; import the station you need.
"""

__version__ = "0.1.0"
