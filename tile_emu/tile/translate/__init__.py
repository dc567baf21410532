"""The translator: worker code that runs often becomes generated source with registers in local arrays.

``flow`` finds the code that can be reached from an entry, ``bundles`` writes what is called for each instruction,
``guard`` the checks of whole loops, ``emit`` puts the function together, ``units`` keeps what has been translated and
decides what is worth it. The interpreter's loops call translated code through ``runtime``.
"""
