"""Tests. Helpers that assert get pytest's explanations too."""

import pytest

pytest.register_assert_rewrite("tests.programs")
