"""How the positions of a contraction are cut into parts, and which rows of the field each part reads.

A tile's block of X is [plane of inputs][plane of the field and row][column][image]; the rows of all planes of the field
follow one another with one pitch, so that every tap is a constant distance from the output position. Where a row's end
and the next row's start are both padding they share columns (problem.Shape.shared_columns). Each element of the field
is owned by the first part that reads it; what a part reads beyond its own is its halo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import LEAST_POSITIONS
from kernels.contraction.layout import cuts, nested
from kernels.contraction.problem import Shape, Tap

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of the parts' blocks, in units of one position: what ``part`` has at ``at`` is ``owner``'s at ``source``.

    Offsets are within one plane of inputs. Sorted by part and ``at``.
    """

    part: I64
    owner: I64
    at: I64
    source: I64
    count: I64

    def where(self, kept: NDArray[np.bool_]) -> Segments:
        """Some of the segments."""
        return Segments(self.part[kept], self.owner[kept], self.at[kept], self.source[kept], self.count[kept])


class Field:
    """Sizes of every part of the positions; arrays over parts, numbered (row part, column part, image part)."""

    def __init__(self, shape: Shape, row_splits: int, column_splits: int, image_splits: int) -> None:
        self.shape = shape
        self.splits = (row_splits, column_splits, image_splits)
        self.parts = row_splits * column_splits * image_splits
        at_row, at_column, at_image = (index.ravel() for index in np.indices(self.splits))
        row_cut, column_cut = cuts(shape.rows, row_splits), cuts(shape.columns, column_splits)
        image_cut = cuts(shape.images, image_splits)
        self.row, self.column, self.image = row_cut[at_row], column_cut[at_column], image_cut[at_image]
        self.rows, self.columns = np.diff(row_cut)[at_row], np.diff(column_cut)[at_column]
        self.images = np.diff(image_cut)[at_image]
        self.shared = shape.shared_columns if column_splits == 1 else 0
        self.pitch = self.columns + shape.column_reach - self.shared  # columns from row to row
        self.positions = ((self.rows - 1) * self.pitch + self.columns) * self.images  # junk between rows included
        self.padded = np.maximum(self.positions, LEAST_POSITIONS)
        self.padded += self.padded % 2 * (shape.window > 1)  # workers of the slim codelet take pairs
        self.reach = np.array(shape.row_reach, np.int64)
        self.block_rows = shape.planes * self.rows + self.reach.sum()
        self.units = self.block_rows * self.pitch * self.images  # of a block, per plane of inputs
        self.last_row = at_row == row_splits - 1
        self.last_column = at_column == column_splits - 1
        self.own_rows = shape.planes * self.rows + np.where(self.last_row, self.reach.sum(), 0)
        more = shape.column_reach - self.shared
        self.own_columns = self.columns + np.where(self.last_column, more, 0)
        self.own_units = self.own_rows * self.own_columns * self.images
        self.halo = bool((self.units != self.own_units).any())

    def tap_offset(self, tap: Tap) -> I64:
        """Units from the start of a plane of inputs to what the tap reads for the first position."""
        row = tap.plane * self.rows + self.reach[: tap.plane].sum() + tap.row
        return (row * self.pitch + tap.column) * self.images

    def own_positions(self) -> tuple[I64, I64, I64, I64]:
        """What every part owns, in order: part, row (of all rows of all planes), column, image of each unit."""
        part, row, column, image = nested(self.own_rows, self.own_columns, self.images)
        plane_rows = self.rows + np.where(self.last_row, self.reach[:, None], 0)  # [plane][part]
        first = np.cumsum(plane_rows, axis=0) - plane_rows
        plane = (row[None] >= first[1:, part]).sum(axis=0)
        total = self.shape.rows + self.reach
        before = np.cumsum(total) - total
        row = before[plane] + self.row[part] + row - first[plane, part]
        return part, row, self.column[part] + column, self.image[part] + image

    def segments(self) -> Segments:
        """Where each part's block comes from, its own share included, row by row where rows are not whole."""
        pieces = []
        rows, columns, images = self.splits
        part = np.arange(self.parts)
        for plane in range(self.shape.planes):
            for down in range(rows):
                found = False
                for across in range(columns):
                    owner = part + (down * columns + across) * images
                    here = (part // (columns * images) + down < rows) & (part // images % columns + across < columns)
                    piece = self._shared_with(part[here], owner[here], plane)
                    if not len(piece):
                        break
                    found = True
                    pieces.append(piece)
                if not found:
                    break
        joined = np.concatenate(pieces)
        return Segments(*joined[np.lexsort((joined[:, 2], joined[:, 0]))].T)

    def _shared_with(self, part: I64, owner: I64, plane: int) -> I64:
        """Rows of one plane that ``part`` reads and ``owner`` owns: [n][part, owner, at, source, count]."""
        reach, before = self.reach[plane], self.reach[:plane].sum()
        low = self.row[owner]
        last = np.where(self.last_row[owner], low + self.rows[owner] + reach, low + self.rows[owner])
        row_end = np.minimum(self.row[part] + self.rows[part] + reach, last)
        column_end = np.minimum(self.column[part] + self.pitch[part], self.column[owner] + self.own_columns[owner])
        tall, wide = row_end - low, column_end - self.column[owner]
        kept = (tall > 0) & (wide > 0)
        part, owner, low, tall, wide = part[kept], owner[kept], low[kept], tall[kept], wide[kept]
        whole = (wide == self.pitch[part]) & (wide == self.own_columns[owner])
        index, row = nested(np.where(whole, 1, tall))
        part, owner, low, tall, wide = part[index], owner[index], low[index], tall[index], wide[index]
        own_plane = plane * self.rows[owner] + np.where(self.last_row[owner], before, 0)
        at_row = plane * self.rows[part] + before + low - self.row[part] + row
        at = (at_row * self.pitch[part] + self.column[owner] - self.column[part]) * self.images[part]
        source = (own_plane + row) * self.own_columns[owner] * self.images[owner]
        count = np.where(whole[index], tall, 1) * wide * self.images[part]
        return np.stack([part, owner, at, source, count], axis=1)
