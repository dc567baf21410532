"""Contractions: the one kind of work behind matrix products and convolutions, from host arrays to a graph and back."""
