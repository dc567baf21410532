"""Shared by all tests.

Compiled code goes where a user's runs keep it (``TILE_EMU_CACHE_DIR``, or the user's cache directory): it is keyed by
content, so sharing it is safe, and the second run of the suite compiles nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the first example of a property may be the one that compiles. Fixed examples, so that a red run is red
# again; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", deadline=None, max_examples=1000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Shells start background jobs with interrupts ignored, and whatever the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# With an empty cache most of the time goes into compiling. These files first, so that each process compiles something
# else: the instrumented loops here, the ordinary ones and translated code there. Then the longest ones, so that none
# is left for the end.
_FIRST = (
    "test_debugger.py", "test_translator_codelets.py", "test_translator.py", "test_sweep.py", "test_checked_runs.py",
    "test_notebook.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; the tests of each stay as they are."""
    size = Counter(item.path.name for item in items)
    rank = {name: position for position, name in enumerate(_FIRST)}
    items.sort(key=lambda item: (rank.get(item.path.name, len(rank)), -size[item.path.name], item.path.name))
