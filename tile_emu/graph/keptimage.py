"""Images kept on disk: what was lowered once is loaded, with neither a graph built nor anything placed or scheduled.

An image is found under a hash of everything that its graph was made from and of all sources that have a part in making
images. A damaged or foreign file counts as absent, a disk that cannot be written is no reason to fail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tile_emu.cachedir import cache_directory
from tile_emu.errors import UsageError
from tile_emu.graph.keptcode import named_from
from tile_emu.kept import added, used
from tile_emu.sourcetree import tree_hash

if TYPE_CHECKING:
    from tile_emu.graph.image import Image

# Whole networks and what runs or tells of an image. The rest is taken to matter, though most of it does not.
_NO_INFLUENCE = (
    *("tile_emu/cli", "tile_emu/profile", "tile_emu/machine.py", "tile_emu/tile/translate", "kernels/networks"),
    *("kernels/sweep", "kernels/check"),
)
_asked = [True]  # for all threads


@contextmanager
def no_kept_images() -> Iterator[None]:
    """Within this context images are made, and neither looked up nor kept."""
    before, _asked[0] = _asked[0], False
    try:
        yield
    finally:
        _asked[0] = before


def kept_image(made_from: Any, make: Callable[[], Image]) -> Image:
    """The image that ``make`` returns, from the disk where it is known.

    ``made_from``: all that the image depends on but the sources of this project: plain values, arrays, data classes,
    tuples, lists and dictionaries of these.
    """
    if not _asked[0]:
        return make()
    path = _place(made_from)
    image = _load(path)
    if image is None:
        image = make()
        _keep(path, image)
    return image


def _place(made_from: Any) -> Path:
    made_by = tree_hash("tile_emu", "kernels", without=_NO_INFLUENCE)
    here = Path(__file__)  # an image names the codelets' sources
    digest = hashlib.sha256(f"{made_by} {here} {named_from(here)}\n".encode())
    for part in _flat(made_from):
        digest.update(part)
    return cache_directory() / "images" / f"{digest.hexdigest()[:32]}.image"


def _flat(value: Any) -> Iterator[bytes]:
    """The value as bytes; different values give different ones."""
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value)
        yield f"array {content.dtype.str} {content.shape} ".encode()
        yield content.tobytes()
    elif is_dataclass(value):
        yield f"{type(value).__name__} ".encode()
        yield from _flat([getattr(value, field.name) for field in fields(value)])
    elif isinstance(value, Mapping):
        yield from _flat(list(value.items()))
    elif isinstance(value, (tuple, list)):
        yield f"{len(value)} of ".encode()
        for item in value:
            yield from _flat(item)
    else:
        assert value is None or isinstance(value, (bool, int, float, str, bytes)), f"{type(value)} has no content"
        yield f"{value!r} ".encode()


def _load(path: Path) -> Image | None:
    from tile_emu.graph.imagefile import load_image

    try:
        image = load_image(path)
    except UsageError:
        return None
    used(path)
    return image


def _keep(path: Path, image: Image) -> None:
    from tile_emu.graph.imagefile import save_image

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(image, path)
        added(path, "images")
    except (OSError, UsageError):
        return
