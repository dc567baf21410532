"""Plans kept on disk, found by shape, chip, limits and the version of the model that made them.

The version is a hash of the sources that can change a plan: the planner, the codelets' figures, the shapes. A damaged
or unreadable file counts as absent, a disk that cannot be written is no reason to fail.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from kernels.contraction.problem import Shape
from kernels.planner.plan import ContractionPlan, PlanCycles
from tile_emu.cachedir import cache_directory
from tile_emu.chips import Chip
from tile_emu.kept import added, used
from tile_emu.profile.atomic import replacing

_KERNELS = Path(__file__).resolve().parent.parent
_SOURCES = ("planner/*.py", "codelets/*.py", "contraction/problem.py")


@functools.cache
def model_version() -> str:
    """Hash of the sources that a plan depends on."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_KERNELS.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _path(shape: Shape, chip: Chip, limits: tuple[int, ...]) -> Path:
    key = hashlib.sha256(repr((shape, chip, limits, model_version())).encode()).hexdigest()[:32]
    return cache_directory() / "plans" / f"{key}.json"


def kept_plans(shape: Shape, chip: Chip, limits: tuple[int, ...]) -> list[ContractionPlan] | None:
    """The plans kept for a shape under the given limits, or None."""
    try:
        path = _path(shape, chip, limits)
        plans = [_plan(shape, fields) for fields in json.loads(path.read_text())]
        used(path)
        return plans
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _plan(shape: Shape, fields: dict[str, Any]) -> ContractionPlan:
    return ContractionPlan(**(fields | {"shape": shape, "predicted": PlanCycles(**fields["predicted"])}))


def keep_plans(shape: Shape, chip: Chip, limits: tuple[int, ...], plans: list[ContractionPlan]) -> None:
    """Keep plans for kept_plans."""
    documents = []
    for plan in plans:
        fields = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan) if field.name != "shape"}
        documents.append(fields | {"predicted": dataclasses.asdict(plan.predicted)})
    path = _path(shape, chip, limits)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(documents).encode())
        added(path, "plans")
    except OSError:
        return
