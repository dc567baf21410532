"""Random legal programs over all instruction forms, run by the emulator and by the oracle of ``tests/naive``.

``forms`` knows how operands of every form are drawn, ``programs`` strings forms together, ``batch`` runs both sides on
many programs of one image and compares, ``report`` prints and shortens a program on which they disagree.
``python -m tests.differential`` runs any number of them (``make fuzz``).
"""
