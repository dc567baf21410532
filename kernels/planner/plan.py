"""What a plan says: how a contraction is divided over tiles and time, and what that is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass

from kernels.contraction.problem import Shape


@dataclass(frozen=True)
class PlanCycles:
    """Predicted cycles of the busiest tile, by part. ``sync`` is contained in the exchanges."""

    gather: int  # exchanges that collect the operand blocks
    compute: int  # AMP vertices
    reduce_exchange: int
    reduce: int
    finish: int = 0  # bias and activation

    @property
    def total(self) -> int:
        """Cycles of the whole program."""
        return self.gather + self.compute + self.reduce_exchange + self.reduce + self.finish


@dataclass(frozen=True)
class ContractionPlan:
    """How a contraction is divided. Sizes per tile are those of the largest blocks."""

    shape: Shape
    chip: str
    group_splits: int
    row_splits: int
    column_splits: int
    image_splits: int
    output_splits: int
    k_splits: int  # of the inputs; their partial sums are reduced, and those of parts of the taps
    steps: int  # gathers and vertices over a tile's part of the inputs
    partners: str  # "x" or "w": the block that neighbouring tiles share
    codelet: str
    tile_groups: int
    tile_positions: int  # padded, junk between rows included
    tile_out_groups: int
    tile_k_groups: int
    pieces: int  # vertices per step: positions are cut where a worker would get more than the codelet takes
    sram_bytes: int  # predicted, data only
    padding: float  # share of the multiplications of the busiest tile times the tiles used that are not asked for
    predicted: PlanCycles
    tap_splits: int = 1  # of the kernel positions

    @property
    def sum_splits(self) -> int:
        """Parts of the sums of an output."""
        return self.k_splits * self.tap_splits

    @property
    def position_splits(self) -> int:
        """Parts of the positions."""
        return self.row_splits * self.column_splits * self.image_splits

    @property
    def tiles(self) -> int:
        """Tiles used."""
        return self.group_splits * self.position_splits * self.output_splits * self.sum_splits

    @property
    def launches(self) -> int:
        """Most passes over the positions that the sums of a tile take: taps of a variant times K groups."""
        return -(-max(len(taps) for taps in self.shape.taps) // self.tap_splits) * self.tile_k_groups

    def describe(self) -> str:
        """The plan in a few lines of text."""
        p, s = self.predicted, self.shape
        groups = f"{self.group_splits} parts of up to {self.tile_groups} groups; " if s.groups > 1 else ""
        field = (
            f"{self.position_splits} parts"
            if s.flat
            else f"{self.row_splits} x {self.column_splits} x {self.image_splits} parts (rows, columns, images)"
        )
        taps = "" if s.flat else f", {s.tap_count} taps" + f" in {self.tap_splits} parts" * (self.tap_splits > 1)
        return (
            f"{groups}positions: {field} of up to {self.tile_positions}; outputs: {self.output_splits} parts of up to "
            f"{self.tile_out_groups} groups; inputs: {self.k_splits} parts of up to {self.tile_k_groups} groups{taps}, "
            f"in {self.steps} step(s); {self.tiles} tiles\n"
            f"predicted {p.total:,} cycles: gather {p.gather:,}, multiply {p.compute:,}, exchange of partial sums "
            f"{p.reduce_exchange:,}, reduction {p.reduce:,}"
            + (f", bias and activation {p.finish:,}" if p.finish else "")
            + f"; padding {100 * self.padding:.1f} %, SRAM {self.sram_bytes / 1024:.0f} KiB"
        )
