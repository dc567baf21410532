"""Sweeps: a kernel run over a grid of sizes, formats, chips and what-ifs, on this computer or on a cluster."""
