"""A few published exchange measurements; all of them: `make validate-exchange`."""

from __future__ import annotations

import pytest

from benchmarks.validate_exchange import rows


@pytest.mark.slow
def test_published_figures_are_met():
    """Ways within a column, 64-bit items to two pairs of tiles, one word from everybody."""
    allowed = {"CIT-COL-MIN": 0.0, "CIT-COL-MAX": 0.0, "CIT-COL-STEP": 0.0, "CIT-BCB-4": 0.01, "CIT-GAL-1216": 0.05}
    found = {row.ident: abs(row.error) for row in rows(allowed.__contains__)}
    assert found.keys() == allowed.keys()
    assert all(found[ident] <= most for ident, most in allowed.items()), found
