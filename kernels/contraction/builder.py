"""The graph of a planned contraction: operands, gathers, vertices, reduction, result.

The tiles form a grid [group part][sum part][output part][position part]; which of the last two runs fastest is the
plan's ``partners``: neighbouring tiles receive a common block at twice the rate. A sum part is a K part and a tap part,
[K part][tap part]; their partial sums are added. Blocks of a tile (codelets/matmul_*.S): X [group][K group][field],
W [group][variant][out group][K group][tap][outputs][inputs], OUT [group][variant][out group][position][outputs].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import (
    COLUMN,
    COPY_OVERREAD,
    SLIC_MIN_POSITIONS,
    UNROLLED,
    WORKERS,
    MatmulCodelet,
    SlicCodelet,
    plane_field,
)
from kernels.contraction.field import Field, Reading, Segments
from kernels.contraction.finish import Bias, Blocks, add_activation, add_cast, gather_bias, place_bias
from kernels.contraction.layout import add, cuts, host_order, nested, take
from kernels.contraction.operands import PIECE, Homes, Operand, copy_own, gather, place_operand, repeat_planes
from kernels.contraction.problem import NOWHERE, OPERAND_DTYPE, Axis, Contraction
from kernels.planner.cost import codelet_for
from kernels.planner.plan import ContractionPlan
from tile_emu.chips import load_chip
from tile_emu.graph import Graph, Pointer, Variable
from tile_emu.graph.collectives import reduce_shares

I64 = NDArray[np.int64]


def build_graph(contraction: Contraction, plan: ContractionPlan) -> Graph:
    """The graph of a plan; its tensors have the names of the host's views."""
    return _Builder(contraction, plan).build()


class _Builder:
    """Arrays over tiles are [group part][sum part][output part][position part]; flat ones are in tile order."""

    def __init__(self, contraction: Contraction, plan: ContractionPlan) -> None:
        self.contraction, self.plan, self.shape = contraction, plan, plan.shape
        shape = self.shape
        chip = load_chip(plan.chip)
        self.codelet = codelet_for(shape, chip)
        self.graph = Graph(chip, plan.tiles)
        self.field = Field(shape, plan.row_splits, plan.column_splits, plan.image_splits)
        self.taps = shape.tap_parts(plan.tap_splits)
        # alone with its taps a tile would receive from itself what only it reads: then all receive the same rows
        common = plan.output_splits == 1
        self.readings = [Reading(self.field, taps) for taps in ([shape.taps] if common else self.taps)]
        self.tap_counts = np.array([[len(variant) for variant in taps] for taps in self.taps])  # [tap part][variant]
        self.group_cut = cuts(shape.groups, plan.group_splits)
        self.k_cut = cuts(-(-shape.inputs // self.codelet.inputs), plan.k_splits)
        self.o_cut = cuts(-(-shape.outputs // self.codelet.outputs), plan.output_splits)
        self.g_size, self.k_size, self.o_size = (np.diff(cut) for cut in (self.group_cut, self.k_cut, self.o_cut))
        # [K parts][steps + 1] K groups
        self.step_cut = self.k_size[:, None] * np.arange(plan.steps + 1) // plan.steps
        splits = (plan.group_splits, plan.sum_splits, plan.output_splits, plan.position_splits)
        if plan.partners == "w":
            self.tile = np.arange(plan.tiles).reshape(splits)
        else:
            # with one part of the outputs the tiles of the tap parts are those that receive the same
            order = (splits[0], plan.k_splits, splits[3], plan.tap_splits, splits[2])
            self.tile = np.arange(plan.tiles).reshape(order).transpose(0, 1, 3, 4, 2).reshape(splits)
        at = np.unravel_index(np.argsort(self.tile, axis=None), splits)  # grid coordinates of tile 0, 1, ...
        self.at_g, self.at_sum, self.at_o, self.at_p = (np.asarray(index, np.int64) for index in at)
        self.at_k, self.at_t = np.divmod(self.at_sum, plan.tap_splits)
        self.at_reading = 0 * self.at_t if common else self.at_t
        self.units = self._by_tile([reading.units for reading in self.readings])  # of X on a tile, per K group
        self.every = np.arange(plan.tiles)
        self.out_pitch = self.field.padded[self.at_p] * self.codelet.position_bytes
        self.sums = self.g_size[self.at_g] * shape.variants * self.o_size[self.at_o] * self.out_pitch

    def build(self) -> Graph:
        """Variables, tensors, and the program."""
        plan, graph = self.plan, self.graph
        split = plan.sum_splits > 1
        extra = COLUMN if split else 0
        out = graph.variable("sums", self.every, self.sums + extra, region="interleaved", align=16, spare=extra)
        x, w = self._x(), self._w()
        self.bias = self._bias()
        graph.separate(x.gathered or x.home, out)
        if x.gathered is not None:
            graph.separate(x.home, x.gathered)
        for step in range(plan.steps):
            self._copy_own(step, x)
            self._gather(step, x, w)
            self._multiply(step, x, w, out)
        blocks = self.tile.transpose(0, 2, 3, 1)  # [g][o][p][sum part]
        result, before, nbytes = out, 0 * self.every, self.sums
        if split:
            grain = self.codelet.position_bytes if self.shape.finished else COLUMN
            size = self.codelet.out_bytes
            region = "interleaved" if self.shape.out_dtype.itemsize < size else "any"
            members = blocks.reshape(-1, plan.sum_splits)
            sums = self.sums[members[:, 0]]
            result, before = reduce_shares(graph, "partial sums", out, members, sums, size, grain, region)
            nbytes = result.nbytes.astype(np.int64)
        tile = np.asarray(blocks if split else self.every, np.int64).ravel()
        self._result(self._finish(result, tile, before, nbytes), tile[:: plan.sum_splits])
        return graph

    def _finish(self, sums: Variable, tile: I64, before: I64, nbytes: I64) -> Variable:
        """Bias, activation and format of the sums; ``nbytes`` of them on ``tile``, ``before`` bytes into a block."""
        row = self.codelet.position_bytes
        blocks = Blocks(sums, tile, before // row, nbytes // row, self.field.padded[self.at_p[tile]])
        if self.bias is not None:
            add_activation(self.graph, self.shape, blocks, self.bias, row)
        narrow, wide = self.codelet.out_bytes, self.shape.out_dtype.itemsize
        return sums if narrow == wide else add_cast(self.graph, blocks, narrow, wide)

    def _by_tile(self, by_part: list[I64]) -> I64:
        """Values of every tile from those of readings and position parts."""
        return np.stack(by_part)[self.at_reading, self.at_p]

    # ---- operands ------------------------------------------------------------------------------------------------

    def _k_groups(self, k: I64, step: int) -> I64:
        """K groups of a step."""
        return self.step_cut[k, step + 1] - self.step_cut[k, step]

    def _x(self) -> Operand:
        """The streamed operand: blocks [group part][K part][position part]."""
        plan, field, view = self.plan, self.field, self.contraction.x
        g, k, p = (index.ravel() for index in np.indices((plan.group_splits, plan.k_splits, plan.position_splits)))
        # the tiles that use a block: [tap part][output part]
        grid = plan.group_splits, plan.k_splits, plan.tap_splits, plan.output_splits, plan.position_splits
        tile = self.tile.reshape(grid).transpose(0, 1, 4, 2, 3).reshape(len(g), -1)
        single = tile.shape[1] == 1
        stays = single and not self.readings[0].halo
        groups = np.stack([self.g_size[g] * self._k_groups(k, step) for step in range(plan.steps)], axis=1)
        behind = self._x_spare()
        copied = COPY_OVERREAD + PIECE if single else 0
        home_spare = behind[tile[:, 0]] if stays else np.full(len(p), copied)
        homes = Homes(groups * field.own_units[p][:, None], tile, home_spare, self.codelet.unit_bytes)
        shape = plan.group_splits, plan.k_splits, -1
        most, least = (m(axis=1).reshape(shape)[self.at_g, self.at_k, self.at_p] for m in (groups.max, groups.min))
        unit = self.units * self.codelet.unit_bytes
        size = None if stays else most * unit + behind
        spare = (most - least) * unit + behind  # a step with fewer groups ends earlier
        units, dtype = self._x_units(g, k, p), self._operand_dtype()
        return place_operand(self.graph, view, dtype, homes, units, size, ("any", "any"), spare)

    def _x_spare(self) -> I64:
        """Bytes read behind the last plane: the pipeline's over-read, padding positions, columns shared with nobody."""
        beyond = self._by_tile([reading.beyond() for reading in self.readings])
        return beyond * self.codelet.unit_bytes + self.codelet.over_read

    def _x_units(self, g: I64, k: I64, p: I64) -> tuple[Axis, I64, Axis, int]:
        """Contributions of all units: blocks in order, in each [step][group][K group][row][column][image]."""
        view, field, steps = self.contraction.x, self.field, self.plan.steps
        part, row, column, image = field.own_positions()
        planes_of = np.repeat(np.arange(self.shape.planes), self.shape.rows + field.reach)
        rows, columns = view.axis("row"), view.axis("column")
        flat_row = rows if rows.base.ndim == 1 else _ragged(rows, self.shape.rows + field.reach)
        column_axis = take(columns, planes_of[row], column) if columns.base.ndim > 1 else take(columns, column)
        position = add(
            take(flat_row, row if len(flat_row.base) > 1 else 0 * row), column_axis, take(view.axis("image"), image)
        )
        first = np.searchsorted(part, np.arange(field.parts))
        # one entry for each (block, step), in it the loops group, K group, unit of the part
        block, step = (index.ravel() for index in np.indices((len(g), steps)))
        k_groups = self.step_cut[k[block], step + 1] - self.step_cut[k[block], step]
        entry, group, k_group, unit = nested(self.g_size[g[block]], k_groups, field.own_units[p[block]])
        of = block[entry]
        where = add(take(position, first[p[of]] + unit), take(view.axis("group"), self.group_cut[g[of]] + group))
        depth = self.k_cut[k[of]] + self.step_cut[k[of], step[entry]] + k_group
        return where, depth, view.axis("input"), self.codelet.inputs

    def _w(self) -> Operand:
        """The operand in the weight state: blocks [group part][sum part][output part]."""
        plan, shape, outputs = self.plan, self.shape, self.codelet.outputs
        g, part, o = (i.ravel() for i in np.indices((plan.group_splits, plan.sum_splits, plan.output_splits)))
        k, t = np.divmod(part, plan.tap_splits)
        stays = plan.position_splits == 1
        groups = np.stack([self.g_size[g] * self._k_groups(k, step) for step in range(plan.steps)], axis=1)
        per_group = self.o_size[o] * self.tap_counts.sum(axis=1)[t] * shape.window * outputs
        tile = self.tile.reshape(len(g), plan.position_splits)
        homes = Homes(groups * per_group[:, None], tile, 0 * g, self.codelet.unit_bytes)
        most = (groups.max(axis=1) * per_group).reshape(plan.group_splits, plan.sum_splits, -1)
        size = None if stays else most[self.at_g, self.at_sum, self.at_o] * self.codelet.unit_bytes
        regions = ("interleaved" if stays else "any", "interleaved")
        units = self._w_units(g, k, t, o)
        return place_operand(self.graph, self.contraction.w, self._operand_dtype(), homes, units, size, regions)

    def _w_units(self, g: I64, k: I64, t: I64, o: I64) -> tuple[Axis, I64, Axis, int]:
        """Contributions of all units: in a block [step][group][variant][out group][K group][tap][output]."""
        view, shape, outputs = self.contraction.w, self.shape, self.codelet.outputs
        taps = self.tap_counts * shape.window
        before = np.cumsum(taps).reshape(taps.shape) - taps  # only one of parts and variants is above 1
        sizes = (len(g), self.plan.steps)
        block, step = (index.ravel() for index in np.indices(sizes))
        k_groups = self.step_cut[k[block], step + 1] - self.step_cut[k[block], step]
        # entries (block, step, group, variant): their inner loops depend on the variant
        entry, group, variant = nested(self.g_size[g[block]], np.full(len(block), shape.variants))
        part = t[block[entry]]
        unit, out_group, k_group, tap, row = nested(
            self.o_size[o[block[entry]]], k_groups[entry], taps[part, variant], np.full(len(entry), outputs)
        )
        of, at_step = block[entry][unit], step[entry][unit]
        output = (self.o_cut[o[of]] + out_group) * outputs + row
        total_outputs = -(-shape.outputs // outputs) * outputs
        where = add(
            take(view.axis("group"), self.group_cut[g[of]] + group[unit]),
            take(view.axis("output").padded(total_outputs), output),
            take(view.axis("tap"), before[part, variant][unit] + tap),
        )
        depth = self.k_cut[k[of]] + self.step_cut[k[of], at_step] + k_group
        return where, depth, view.axis("input"), self.codelet.inputs

    def _bias(self) -> Bias | None:
        """The bias of the outputs; zeros of the host where there is only an activation."""
        view = self.contraction.bias
        if view is None:
            return None
        groups, outputs = (self.g_size, self.group_cut), (self.o_size, self.o_cut)
        return place_bias(self.graph, view, self.shape, self.tile, groups, outputs, self.codelet.outputs)

    def _operand_dtype(self) -> np.dtype[Any]:
        return np.dtype(OPERAND_DTYPE[self.shape.dtype])

    # ---- the program -----------------------------------------------------------------------------------------------

    def _gather(self, step: int, x: Operand, w: Operand) -> None:
        """One exchange that brings the step's blocks of both operands, and the bias, to the tiles that use them."""
        bias = self.bias if step == 0 and self.bias is not None and self.bias.moves else None
        if x.gathered is None and w.gathered is None and bias is None:
            return
        phase = self.graph.exchange(f"gather {step}" if self.plan.steps > 1 else "gather")
        if bias is not None:
            gather_bias(phase, bias)
        if x.gathered is not None:
            for number, reading in enumerate(self.readings):
                segments = self._x_segments(step, reading)
                if x.homes.members == 1:  # the fabric carries nothing from a tile to itself
                    segments = segments.where(segments.part != segments.owner)
                readers = x.homes.tile.reshape(len(x.homes.tile), len(self.readings), -1)[:, number]
                gather(phase, x, step, segments, readers)
        if w.gathered is not None:
            units = w.homes.units[:, step]
            block = np.arange(len(units))
            gather(phase, w, step, Segments(block, block, 0 * block, 0 * block, units), w.homes.tile)

    def _x_segments(self, step: int, reading: Reading) -> Segments:
        """Pieces of all blocks of one step and reading; parts and owners are numbers of blocks."""
        plan, field = self.plan, self.field
        once = reading.segments()
        pieces = []
        for g in range(plan.group_splits):
            for k in range(plan.k_splits):
                planes = np.full(field.parts, self.g_size[g] * self._k_groups(np.array(k), step))
                found = repeat_planes(once, planes, reading.units, field.own_units)
                first = (g * plan.k_splits + k) * field.parts
                pieces.append((found.part + first, found.owner + first, found.at, found.source, found.count))
                if field.shared:  # the last row ends in columns that nobody shares: padding like the first row's start
                    part = np.arange(field.parts)
                    count = field.shared * field.images
                    pieces.append((part + first, part + first, planes * reading.units, 0 * part, count))
        return Segments(*(np.concatenate(part) for part in zip(*pieces)))

    def _copy_own(self, step: int, x: Operand) -> None:
        """What a tile without partners reads of its own share goes from there to its block."""
        if x.gathered is None or x.homes.members > 1:
            return
        plan, field, reading = self.plan, self.field, self.readings[0]
        once = reading.segments()
        once = once.where(once.part == once.owner)
        outer = plan.group_splits * plan.k_splits
        first = np.arange(outer)[:, None] * field.parts
        g, k = (np.repeat(index.ravel(), field.parts) for index in np.indices((plan.group_splits, plan.k_splits)))
        planes = self.g_size[g] * self._k_groups(k, step)
        pitch = np.tile(np.stack([field.own_units, reading.units], axis=1), (outer, 1))
        part = (once.part + first).ravel()
        own = [np.tile(values, outer) for values in (once.at, once.source, once.count)]
        which = f" {step}" if plan.steps > 1 else ""
        copy_own(self.graph, f"copy own share{which}", x, step, Segments(part, part, *own), planes, pitch)
        if field.shared:
            block = np.arange(outer * field.parts)
            at, count = planes * pitch[:, 1], np.tile(field.shared * field.images, outer)
            tail = Segments(block, block, at, 0 * block, count)
            copy_own(self.graph, f"copy padding{which}", x, step, tail, 0 * planes + 1, pitch)

    def _multiply(self, step: int, x: Operand, w: Operand, out: Variable) -> None:
        """The vertices of one step: for each group and variant on a tile ``plan.pieces`` of them."""
        shape = self.shape
        compute = self.graph.execute(f"multiply {step}" if self.plan.steps > 1 else "multiply")
        codelet = self.codelet.zero
        if step > 0:
            assert isinstance(self.codelet, MatmulCodelet)  # a slim contraction has a single K group
            codelet = self.codelet.acc
        for variant in range(shape.variants):
            counts = self.tap_counts[:, variant]
            launches = self._k_groups(self.at_k, step) * counts[self.at_t]
            for group in range(int(self.g_size.max())):
                tile = self.every[self.g_size[self.at_g] > group]
                base = self._vertex(step, tile, group, variant, w)
                for piece in range(self.plan.pieces):
                    fields = base | self._piece(step, tile, group, variant, piece, x, out)
                    compute.add(codelet(int(launches.max())), tile, **fields)

    def _vertex(self, step: int, tile: I64, group: int, variant: int, w: Operand) -> dict[str, Any]:
        """What all pieces of a vertex share."""
        plan, shape, codelet = self.plan, self.shape, self.codelet
        k, out_groups = self.at_k[tile], self.o_size[self.at_o[tile]]
        k_groups = self._k_groups(k, step)
        counts = self.tap_counts[self.at_t[tile]]
        taps, every, before = counts[:, variant], counts.sum(axis=1), counts[:, :variant].sum(axis=1)
        row = out_groups * codelet.outputs * codelet.unit_bytes * shape.window  # of one tap and K group
        offset = (group * every + before) * k_groups * row
        if w.gathered is None:
            block = (self.at_g[tile] * plan.sum_splits + self.at_sum[tile]) * plan.output_splits + self.at_o[tile]
            earlier = self.g_size[self.at_g[tile]] * self.step_cut[k, step] * every * row
            weights = Pointer(w.home, block, earlier + offset)
        else:
            weights = Pointer(w.gathered, tile, offset)
        later = k_groups * taps - 1
        if isinstance(codelet, SlicCodelet):
            return {"weights": weights, "later": later - 1}
        entry = np.where(later > 0, -later % UNROLLED * codelet.launch_bytes, UNROLLED * codelet.launch_bytes + 4)
        rounds = np.maximum(-(-later // UNROLLED) - 1, 0)
        return {"weights": weights, "out_groups": out_groups - 1, "rounds": rounds, "entry": entry}

    def _planes(self, step: int, tile: I64, group: int, variant: int, x: Operand) -> tuple[Variable, I64, list[I64]]:
        """The variable and shard that X is read from, and the byte where each launch begins to read."""
        plan, k, p, units = self.plan, self.at_k[tile], self.at_p[tile], self.units[tile]
        k_groups, taps = self._k_groups(k, step), self.tap_counts[self.at_t[tile], variant]
        skipped = 0 * k
        if x.gathered is None:
            shard, variable = (self.at_g[tile] * plan.k_splits + k) * plan.position_splits + p, x.home
            skipped = self.g_size[self.at_g[tile]] * self.step_cut[k, step] * units
        else:
            shard, variable = tile, x.gathered
        shifts = np.zeros((int(taps.max()), len(tile)), np.int64)
        for part, of_part in enumerate(self.taps):
            here = self.at_t[tile] == part
            reading = self.readings[part % len(self.readings)]
            for number, tap in enumerate(of_part[variant]):
                shifts[number, here] = reading.tap_offset(tap)[p[here]]
        first = skipped + group * k_groups * units
        planes = []
        for number in range(int((k_groups * taps).max())):
            # launches that a tile does not have: their address must only be a valid one
            k_group, tap = np.divmod(np.minimum(number, k_groups * taps - 1), taps)
            planes.append((first + k_group * units + shifts[tap, np.arange(len(tile))]) * self.codelet.unit_bytes)
        return variable, shard, planes

    def _piece(
        self, step: int, tile: I64, group: int, variant: int, piece: int, x: Operand, out: Variable
    ) -> dict[str, Any]:
        """The workers' records and planes of one vertex."""
        plan, codelet, out_groups = self.plan, self.codelet, self.o_size[self.at_o[tile]]
        variable, shard, planes = self._planes(step, tile, group, variant, x)
        first_out = (group * self.shape.variants + variant) * out_groups * self.out_pitch[tile]
        fields: dict[str, Any] = {}
        grains = self.field.padded[self.at_p[tile]] // codelet.grain
        low, high = grains * piece // plan.pieces, grains * (piece + 1) // plan.pieces
        for worker in range(WORKERS):
            start = (low + (high - low) * worker // WORKERS) * codelet.grain
            count = (low + (high - low) * (worker + 1) // WORKERS) * codelet.grain - start
            fields[f"out{worker}"] = Pointer(out, tile, first_out + start * codelet.position_bytes)
            fields |= self._count_fields(worker, count, tile)
            for number, plane in enumerate(planes):
                fields[plane_field(number, worker)] = Pointer(variable, shard, plane + start * self.codelet.unit_bytes)
        return fields

    def _count_fields(self, worker: int, count: I64, tile: I64) -> dict[str, Any]:
        """What a worker's record says of its ``count`` positions."""
        codelet = self.codelet
        if isinstance(codelet, SlicCodelet):
            return {f"pairs{worker}": count // 2 - SLIC_MIN_POSITIONS // 2}
        return {
            f"tail{worker}": 8 * (codelet.chunks * count - codelet.tail),
            f"wrap{worker}": (1 - codelet.chunks * count) & 0x3FF,
            f"count{worker}": count - 4,
            f"out_pitch{worker}": self.out_pitch[tile],
        }

    # ---- result ----------------------------------------------------------------------------------------------------

    def _result(self, variable: Variable, tile: I64) -> None:
        """Host view of the result; ``tile``: one tile of each block, in the order in which ``variable`` holds them."""
        view, shape, field, outputs = self.contraction.out, self.shape, self.field, self.codelet.outputs
        p, g, o = self.at_p[tile], self.at_g[tile], self.at_o[tile]
        block, group, variant, out_group, position = nested(
            self.g_size[g], np.full(len(tile), shape.variants), self.o_size[o], field.padded[p]
        )
        part = p[block]
        place, image = np.divmod(position, field.images[part])
        row, column = np.divmod(place, field.pitch[part])
        junk = (column >= field.columns[part]) | (row >= field.rows[part])
        row, column = np.where(junk, 0, row) + field.row[part], np.where(junk, 0, column) + field.column[part]
        where = add(
            take(view.axis("group"), self.group_cut[g[block]] + group),
            take(view.axis("image"), image + field.image[part]),
            _at(view.axis("row"), variant, row),
            _at(view.axis("column"), variant, column),
        )
        where.base[junk] = NOWHERE
        depth = self.o_cut[o[block]] + out_group
        kind = shape.out_dtype
        elements = int(variable.nbytes.sum(dtype=np.int64)) // kind.itemsize
        spare = (elements - len(block) * outputs) // len(tile)  # behind each block
        at = np.arange(len(block)) * outputs + block * spare
        order = host_order(view, where, depth, view.axis("output"), outputs, at, elements)
        self.graph.tensor(view.name, view.shape, kind, variable, order)


def _at(axis: Axis, variant: I64, index: I64) -> Axis:
    """The contributions of an axis that may or may not depend on the variant, or of one without indices."""
    if axis.base.ndim > 1:
        return take(axis, np.minimum(variant, len(axis.base) - 1), index)
    return take(axis, index if len(axis.base) > 1 else 0 * index)


def _ragged(axis: Axis, sizes: I64) -> Axis:
    """[planes][rows] as one dimension, each plane with its own number of rows."""
    plane, row = nested(sizes)
    return take(axis, plane, row)
