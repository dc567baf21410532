"""Shared by all tests.

Compiled code goes where a user's runs keep it (``TILE_EMU_CACHE_DIR``, or the user's cache directory): it is keyed by
content, so sharing it is safe, and the second run of the suite compiles nothing.
"""

from __future__ import annotations

import os
import signal

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
