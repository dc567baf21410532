"""How the positions of a contraction are cut into parts, and which rows of the field each part reads.

A tile's block of X is [plane of inputs][plane of the field and row][column][image]; the rows of all planes of the field
follow one another with one pitch, so that every tap is a constant distance from the output position. Where a row's end
and the next row's start are both padding they share columns (problem.Shape.shared_columns). Each element of the field
is owned by the first part that reads it; what a part reads beyond its own is its halo. Where the taps are cut into
parts too, a tile reads only the planes and rows that its taps reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import least_positions
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
        self.padded = np.maximum(self.positions, least_positions(shape.window))
        self.padded += self.padded % 2 * (shape.window > 1)  # workers of the slim codelet take pairs
        self.reach = np.array(shape.row_reach, np.int64)
        self.last_row = at_row == row_splits - 1
        self.last_column = at_column == column_splits - 1
        self.own_rows = shape.planes * self.rows + np.where(self.last_row, self.reach.sum(), 0)
        more = shape.column_reach - self.shared
        self.own_columns = self.columns + np.where(self.last_column, more, 0)
        self.own_units = self.own_rows * self.own_columns * self.images

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


class Reading:
    """What the tiles of every part of a field read for some of the taps; arrays over the field's parts.

    ``taps``: those, of each variant.
    """

    def __init__(self, field: Field, taps: tuple[tuple[Tap, ...], ...]) -> None:
        self.field, self.taps = field, taps
        every = [tap for variant in taps for tap in variant]
        self.planes = sorted({tap.plane for tap in every})
        rows = {plane: [tap.row for tap in every if tap.plane == plane] for plane in self.planes}
        self.low = {plane: min(found) for plane, found in rows.items()}
        reach = np.array([max(rows[plane]) - self.low[plane] for plane in self.planes], np.int64)
        self.reach = dict(zip(self.planes, reach.tolist()))
        before = np.cumsum(reach) - reach  # first row of each plane in a block, beyond those of the planes before
        self.first_row = {plane: number * field.rows + before[number] for number, plane in enumerate(self.planes)}
        rows_read = len(self.planes) * field.rows + reach.sum()
        self.units = rows_read * field.pitch * field.images  # of a block, per plane of inputs
        self.halo = bool((self.units != field.own_units).any())

    def tap_offset(self, tap: Tap) -> I64:
        """Units from the start of a plane of inputs to what the tap reads for the first position."""
        row = self.first_row[tap.plane] + tap.row - self.low[tap.plane]
        return (row * self.field.pitch + tap.column) * self.field.images

    def beyond(self) -> I64:
        """Units that are read behind a plane of inputs, for padding positions, at most."""
        last = np.max([self.tap_offset(tap) for variant in self.taps for tap in variant], axis=0)
        return np.maximum(np.maximum(last + self.field.padded - self.units, self.field.shared * self.field.images), 0)

    def segments(self) -> Segments:
        """Where each part's block comes from, its own share included, row by row where rows are not whole."""
        pieces = []
        rows, columns, images = self.field.splits
        part = np.arange(self.field.parts)
        for plane in self.planes:
            before = True  # no part has come to a row that it reads
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
                before = before and not found
                if not (found or before):
                    break
        joined = np.concatenate(pieces)
        return Segments(*joined[np.lexsort((joined[:, 2], joined[:, 0]))].T)

    def _shared_with(self, part: I64, owner: I64, plane: int) -> I64:
        """Rows of one plane that ``part`` reads and ``owner`` owns: [n][part, owner, at, source, count]."""
        f = self.field
        first = f.row[part] + self.low[plane]
        last = np.where(f.last_row[owner], f.row[owner] + f.rows[owner] + f.reach[plane], f.row[owner] + f.rows[owner])
        begin = np.maximum(first, f.row[owner])
        row_end = np.minimum(first + f.rows[part] + self.reach[plane], last)
        column_end = np.minimum(f.column[part] + f.pitch[part], f.column[owner] + f.own_columns[owner])
        tall, wide = row_end - begin, column_end - f.column[owner]
        kept = (tall > 0) & (wide > 0)
        part, owner, begin, tall, wide = part[kept], owner[kept], begin[kept], tall[kept], wide[kept]
        whole = (wide == f.pitch[part]) & (wide == f.own_columns[owner])
        index, row = nested(np.where(whole, 1, tall))
        part, owner, begin, tall, wide = part[index], owner[index], begin[index], tall[index], wide[index]
        own_plane = plane * f.rows[owner] + np.where(f.last_row[owner], f.reach[:plane].sum(), 0) - f.row[owner]
        at_row = self.first_row[plane][part] + begin - first[kept][index] + row
        at = (at_row * f.pitch[part] + f.column[owner] - f.column[part]) * f.images[part]
        source = (own_plane + begin + row) * f.own_columns[owner] * f.images[owner]
        count = np.where(whole[index], tall, 1) * wide * f.images[part]
        return np.stack([part, owner, at, source, count], axis=1)
