"""Tables as Parquet, with the package pyarrow (extra ``report``)."""

from __future__ import annotations

import io
from typing import Any

from tile_emu.errors import UsageError


def pyarrow() -> Any:
    """The package, with its module parquet. Raises UsageError when it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("Parquet needs the package pyarrow: pip install 'tile-emu[report]'") from None
    return pyarrow


def parquet_bytes(table: Any) -> bytes:
    """A pyarrow table as the content of a Parquet file."""
    buffer = io.BytesIO()
    pyarrow().parquet.write_table(table, buffer)
    return buffer.getvalue()
