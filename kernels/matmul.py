"""Matrix product on the emulated chip: plan, graph, run.

Layout of a tile's blocks (codelets/matmul_*.S): X [K groups][positions][inputs], OUT [out groups][positions][outputs],
W [out groups][K groups][outputs][inputs]. The grid of tiles is numbered (k part, output part, position part), the last
one fastest. Block X (k, p) is used by all tiles of that k and p: each is home to a share of it, and one exchange per
step brings every share to all of them; the same for W (k, o). An operand whose group is a single tile stays put.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import COLUMN, K_GROUP_BYTES, UNROLLED, WORKERS, X_OVERREAD, matmul_codelet, reduce_codelet
from kernels.planner.matmul import LEAST_POSITIONS, MatmulPlan, plan_matmul
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.graph import Graph, Pointer, Variable

if TYPE_CHECKING:
    from tile_emu.graph.image import Image
    from tile_emu.profile.recording import Recording

I64 = NDArray[np.int64]
Progress = Callable[..., None]

OPERAND_DTYPE = {"f16": np.float16, "f16f32": np.float16, "f32": np.float32}
RESULT_DTYPE = {"f16": np.float16, "f16f32": np.float32, "f32": np.float32}
GRAIN = 8  # bytes; shares of a block are cut at multiples of it
_RESERVES = (None, 160 * 1024, 256 * 1024)  # SRAM kept free for the separation of elements, tried in turn


@dataclass(frozen=True, eq=False)
class MatmulResult:
    """``out`` is C[m, n]; ``sram_bytes`` i64[tiles]: bytes of SRAM in use, code included."""

    out: NDArray[Any]
    plan: MatmulPlan
    recording: Recording
    image: Image
    sram_bytes: I64


def matmul(
    a: NDArray[Any],
    b: NDArray[Any],
    dtype: str = "f16",
    chip: str | Chip = "bow",
    threads: int | None = None,
    progress: Progress | None = None,
) -> MatmulResult:
    """C = A . B on an emulated chip.

    ``a`` [m, k] and ``b`` [k, n] are rounded to f16 (dtype f16, f16f32) or f32 first. C is f16 for dtype f16, with
    partial sums narrowed to f16 after every 16 products, and f32 otherwise. ``progress(stage, share)`` is called at
    times.
    Raises UsageError, OutOfTileMemory, and whatever the machine finds wrong.
    """
    from tile_emu.machine import Machine

    if dtype not in OPERAND_DTYPE:
        raise UsageError(f"unknown dtype '{dtype}': choose one of {', '.join(OPERAND_DTYPE)}")
    left, right = (np.asarray(operand) for operand in (a, b))
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise UsageError(f"matmul of shapes {left.shape} and {right.shape}: m x k and k x n are wanted")
    where = load_chip(chip) if isinstance(chip, str) else chip
    report = progress if progress is not None else _silent
    report("planning")
    plan, image = plan_and_lower(left.shape[0], left.shape[1], right.shape[1], dtype, where, report)
    machine = Machine(where, image.tiles, threads)
    report("loading")
    machine.load(image)
    kind = OPERAND_DTYPE[dtype]
    with np.errstate(over="ignore"):
        machine.write_tensor("a", left.astype(kind))
        machine.write_tensor("b", right.astype(kind))
    recording = machine.run(progress=progress)
    return MatmulResult(machine.read_tensor("c"), plan, recording, image, used_sram(image))


def plan_and_lower(m: int, k: int, n: int, dtype: str, chip: Chip, progress: Progress) -> tuple[MatmulPlan, Image]:
    """The cheapest plan whose variables also find a place. Raises OutOfTileMemory if none does."""
    problem: OutOfTileMemory | None = None
    for reserve in _RESERVES:
        try:
            plan = plan_matmul(m, k, n, dtype, chip, reserve=reserve)
            progress("building the graph")
            return plan, build_graph(plan).lower(progress)
        except OutOfTileMemory as error:
            problem = problem or error
    assert problem is not None
    raise problem


def used_sram(image: Image) -> I64:
    """Bytes in use on every tile, i64[tiles]: code, rows, vertex states and variables."""
    return image.memory_map.used_bytes()


def _silent(*_: object) -> None:
    """No progress wanted."""


@dataclass(frozen=True, eq=False)
class _Operand:
    """How one operand lies on the chip. Shapes: [K parts][parts of its rows][steps][members of the group]."""

    name: str
    home: Variable
    gathered: Variable | None  # None: the codelets read the home shards, their group being a single tile
    home_offset: I64  # bytes, of the share in the home shard
    block_offset: I64  # bytes, of the share in the step's block
    nbytes: I64


class _Builder:
    """Builds the graph of one plan. All arrays over tiles are [K parts][output parts][position parts]."""

    def __init__(self, plan: MatmulPlan) -> None:
        self.plan = plan
        self.chip = load_chip(plan.chip)
        self.codelet = matmul_codelet(plan.dtype, self.chip)
        self.graph = Graph(self.chip, plan.tiles)
        rows, columns = (plan.m, plan.n) if plan.streamed == "a" else (plan.n, plan.m)
        self.positions, self.outputs = rows, columns
        k_groups, out_groups = -(-plan.k // self.codelet.inputs), -(-columns // self.codelet.outputs)
        self.p_cut, self.o_cut = _cuts(rows, plan.position_splits), _cuts(out_groups, plan.output_splits)
        self.k_cut = _cuts(k_groups, plan.k_splits)
        self.p_size = np.maximum(np.diff(self.p_cut), LEAST_POSITIONS)
        self.o_size, self.k_size = np.diff(self.o_cut), np.diff(self.k_cut)
        steps = np.arange(plan.steps + 1)
        self.step_cut = self.k_size[:, None] * steps // plan.steps  # [K parts][steps + 1] groups
        self.tile = np.arange(plan.tiles).reshape(plan.k_splits, plan.output_splits, plan.position_splits)
        self.at_k, self.at_o, self.at_p = np.indices(self.tile.shape)
        self.sums = self.o_size[:, None] * self.p_size * self.codelet.position_bytes  # [o][p] bytes of OUT

    def build(self) -> Graph:
        """Variables, tensors, and the program."""
        plan, graph = self.plan, self.graph
        split = plan.k_splits > 1
        extra = COLUMN if split else 0
        out_bytes = (self.sums + extra)[self.at_o, self.at_p].ravel()
        out = graph.variable("sums", self.tile.ravel(), out_bytes, region="interleaved", align=16)
        x, w = self._operand(streamed=True), self._operand(streamed=False)
        graph.separate(x.gathered or x.home, out)
        for step in range(plan.steps):
            self._gather(step, (x, w))
            self._multiply(step, x, w, out)
        if split:
            self._reduce(out)
        else:
            self._result(out)
        return graph

    # ---- operands ------------------------------------------------------------------------------------------------

    def _operand(self, streamed: bool) -> _Operand:
        """Home and gather variables, and the host tensor, of the positions' or the outputs' operand."""
        plan = self.plan
        name = plan.streamed if streamed else {"a": "b", "b": "a"}[plan.streamed]
        rows = self.p_size if streamed else self.o_size * self.codelet.outputs  # [parts]
        members = plan.output_splits if streamed else plan.position_splits
        groups = np.diff(self.step_cut)  # [K parts][steps]
        block = groups[:, None, :] * rows[None, :, None] * K_GROUP_BYTES  # [k][part][step] bytes
        cut = block[..., None] // GRAIN * np.arange(members + 1) // members * GRAIN
        nbytes = np.diff(cut)
        home_offset = np.cumsum(nbytes, axis=2) - nbytes
        spare = X_OVERREAD if streamed else 0
        home_bytes = nbytes.sum(axis=2) + (spare if members == 1 else 0)  # [k][part][member]
        tile = self.tile.transpose(0, 2, 1) if streamed else self.tile
        region = "any" if streamed or members > 1 else "interleaved"
        home = self.graph.variable(name, tile.ravel(), home_bytes.ravel(), region=region, align=16)
        kind = np.dtype(OPERAND_DTYPE[plan.dtype])
        order = self._order(streamed, members, cut // kind.itemsize, (spare if members == 1 else 0) // kind.itemsize)
        shape = (plan.m, plan.k) if name == "a" else (plan.k, plan.n)
        self.graph.tensor(name, shape, kind, home, order)
        gathered = None
        if members > 1:
            part = self.at_p if streamed else self.at_o
            size = block.max(axis=2)[self.at_k, part].ravel() + spare
            region = "any" if streamed else "interleaved"
            gathered = self.graph.variable(f"{name} gathered", self.tile.ravel(), size, region=region, align=16)
        return _Operand(name, home, gathered, home_offset, cut[..., :-1], nbytes)

    def _order(self, streamed: bool, members: int, cut: I64, spare: int) -> I64:
        """Host index of every element of the home shards; ``cut`` [k][part][step][members + 1] in elements."""
        parts = cut.shape[1]
        pieces = []
        for k in range(self.plan.k_splits):
            for part in range(parts):
                steps = self._block_index(streamed, k, part)
                if len(steps) == 1 or members == 1:
                    pieces += steps
                    pieces.append(np.full(spare, -1))
                    continue
                bounds = cut[k, part].tolist()
                pieces += [
                    index[bound[member] : bound[member + 1]]
                    for member in range(members)
                    for index, bound in zip(steps, bounds)
                ]
        return np.concatenate(pieces)

    def _block_index(self, streamed: bool, k: int, part: int) -> list[I64]:
        """Host indices of one block in the codelet's layout, one flat array for each step; -1 = padding."""
        plan, inputs = self.plan, self.codelet.inputs
        low, high = self.k_cut[k] * inputs, self.k_cut[k + 1] * inputs
        depth = np.arange(low, high)
        if streamed:
            first, last, total = self.p_cut[part], self.p_cut[part] + self.p_size[part], self.p_cut[part + 1]
        else:
            outputs = self.codelet.outputs
            first, last, total = self.o_cut[part] * outputs, self.o_cut[part + 1] * outputs, self.outputs
        row = np.arange(first, last)
        in_a = (plan.streamed == "a") == streamed
        row_stride, depth_stride = (plan.k, 1) if in_a else (1, plan.n)
        index = row[:, None] * row_stride + depth * depth_stride
        index[row >= total] = -1
        index[:, depth >= plan.k] = -1
        index = index.reshape(len(row), -1, inputs)  # [row][K group][input]
        cuts = self.step_cut[k]
        if streamed:
            return [index[:, a:b].transpose(1, 0, 2).reshape(-1) for a, b in itertools.pairwise(cuts)]
        index = index.reshape(-1, self.codelet.outputs, *index.shape[1:])  # [out group][output][K group][input]
        return [index[:, :, a:b].transpose(0, 2, 1, 3).reshape(-1) for a, b in itertools.pairwise(cuts)]

    # ---- the program -----------------------------------------------------------------------------------------------

    def _gather(self, step: int, operands: tuple[_Operand, _Operand]) -> None:
        """One exchange that brings the step's blocks of both operands to the tiles that use them."""
        if all(operand.gathered is None for operand in operands):
            return
        phase = self.graph.exchange(f"gather {step}" if self.plan.steps > 1 else "gather")
        for operand, streamed in zip(operands, (True, False)):
            if operand.gathered is None:
                continue
            tiles = self.tile.transpose(0, 2, 1) if streamed else self.tile  # [k][part][member]
            nbytes = operand.nbytes[:, :, step, :, None]
            shard = np.arange(tiles.size).reshape(tiles.shape)[..., None]
            source = Pointer(operand.home, shard, operand.home_offset[:, :, step, :, None])
            dest = Pointer(operand.gathered, tiles[:, :, None, :], operand.block_offset[:, :, step, :, None])
            phase.copy(source, dest, nbytes)

    def _multiply(self, step: int, x: _Operand, w: _Operand, out: Variable) -> None:
        """The vertices of one step; a tile has ``plan.pieces`` of them."""
        plan, codelet = self.plan, self.codelet
        compute = self.graph.execute(f"multiply {step}" if plan.steps > 1 else "multiply")
        positions = self.p_size[self.at_p].ravel()
        out_groups = self.o_size[self.at_o].ravel()
        skipped = self.step_cut[self.at_k, step].ravel()  # K groups of earlier steps
        k_groups = self.step_cut[self.at_k, step + 1].ravel() - skipped
        pitch = positions * K_GROUP_BYTES
        tile = self.tile.ravel()
        if x.gathered is None:  # home shards [k][p][one member]
            x_shard, x_variable = (self.at_k * plan.position_splits + self.at_p).ravel(), x.home
            x_offset = skipped * pitch
        else:
            x_shard, x_variable, x_offset = tile, x.gathered, 0 * tile
        if w.gathered is None:
            row = out_groups * codelet.outputs * K_GROUP_BYTES
            weights = Pointer(w.home, (self.at_k * plan.output_splits + self.at_o).ravel(), skipped * row)
        else:
            weights = Pointer(w.gathered, tile)
        later = k_groups - 1
        entry = np.where(later > 0, -later % UNROLLED * codelet.launch_bytes, UNROLLED * codelet.launch_bytes + 4)
        rounds = np.maximum(-(-later // UNROLLED) - 1, 0)
        for piece in range(plan.pieces):
            fields: dict[str, Any] = {"weights": weights, "out_groups": out_groups - 1}
            fields |= {"rounds": rounds, "entry": entry}
            low, high = positions * piece // plan.pieces, positions * (piece + 1) // plan.pieces
            for worker in range(WORKERS):
                start = low + (high - low) * worker // WORKERS
                count = low + (high - low) * (worker + 1) // WORKERS - start
                fields |= {
                    f"x{worker}": Pointer(x_variable, x_shard, x_offset + start * K_GROUP_BYTES),
                    f"out{worker}": Pointer(out, tile, start * codelet.position_bytes),
                    f"tail{worker}": 8 * (codelet.chunks * count - codelet.tail),
                    f"wrap{worker}": (1 - codelet.chunks * count) & 0x3FF,
                    f"count{worker}": count - 4,
                    f"x_pitch{worker}": pitch,
                    f"out_pitch{worker}": positions * codelet.position_bytes,
                }
            compute.add(codelet.zero if step == 0 else codelet.acc, tile, **fields)

    # ---- results ---------------------------------------------------------------------------------------------------

    def _result(self, variable: Variable) -> None:
        """Host view of C: blocks [output part][position part] of [out group][position][output]."""
        plan = self.plan
        outputs = self.codelet.outputs
        row_stride, out_stride = (plan.n, 1) if plan.streamed == "a" else (1, plan.n)
        pieces = []
        for o in range(plan.output_splits):
            output = np.arange(self.o_cut[o] * outputs, self.o_cut[o + 1] * outputs).reshape(-1, 1, outputs)
            for p in range(plan.position_splits):
                row = np.arange(self.p_cut[p], self.p_cut[p] + self.p_size[p])[:, None]
                index = row * row_stride + output * out_stride
                index[:, (row >= self.p_cut[p + 1]).ravel()] = -1
                index[np.broadcast_to(output >= self.outputs, index.shape)] = -1
                pieces.append(index.reshape(-1))
        self.graph.tensor("c", (plan.m, plan.n), RESULT_DTYPE[plan.dtype], variable, np.concatenate(pieces))

    def _reduce(self, out: Variable) -> None:
        """Exchange of partial sums within the groups over K, and their reduction; member q finishes share q."""
        plan, graph = self.plan, self.graph
        members = plan.k_splits
        columns = self.sums // COLUMN  # [o][p]
        cut = columns[..., None] * np.arange(members + 1) // members  # [o][p][member + 1]
        share = np.diff(cut)
        pitch = -(-columns // members)
        tile = self.tile.transpose(1, 2, 0)  # [o][p][member]
        shard = np.arange(tile.size).reshape(tile.shape)
        recv_bytes = np.broadcast_to((members - 1) * pitch[..., None] * COLUMN, tile.shape)
        recv = graph.variable("received sums", tile.ravel(), recv_bytes.ravel(), region="interleaved", align=16)
        result = graph.variable("c", tile.ravel(), (share * COLUMN).ravel(), align=16)
        # copies [o][p][member q that receives][distance to the member that sends]
        q = np.arange(members)[:, None]
        sender = (q + np.arange(1, members)) % members
        row = np.where(sender < q, sender, sender - 1)
        source = Pointer(out, tile[:, :, sender], cut[..., :-1, None] * COLUMN)
        dest = Pointer(recv, shard[..., None], row * pitch[..., None, None] * COLUMN)
        graph.exchange("exchange of partial sums").copy(source, dest, share[..., None] * COLUMN)
        fields: dict[str, Any] = {}
        flat_share, flat_cut, flat_shard = share.ravel(), cut[..., :-1].ravel(), shard.ravel()
        pitches = np.broadcast_to(pitch[..., None], tile.shape).ravel()
        for worker in range(WORKERS):
            start = flat_share * worker // WORKERS
            count = flat_share * (worker + 1) // WORKERS - start
            fields |= {
                f"own{worker}": Pointer(out, tile.ravel(), (flat_cut + start) * COLUMN),
                f"recv{worker}": Pointer(recv, flat_shard, start * COLUMN),
                f"out{worker}": Pointer(result, flat_shard, start * COLUMN),
                f"columns{worker}": (count - 1) & 0xFFFFFFFF,
                f"pitch{worker}": pitches,
                f"rows{worker}": members - 1,
                f"back{worker}": (COLUMN - (members - 1) * pitches * COLUMN) & 0xFFFFFFFF,
            }
        graph.execute("reduce").add(reduce_codelet(self.codelet.out_bytes).codelet, tile.ravel(), **fields)
        self._result(result)


def _cuts(n: int, parts: int) -> I64:
    """Balanced cut points, i64[parts + 1]."""
    return np.arange(parts + 1) * n // parts


def build_graph(plan: MatmulPlan) -> Graph:
    """The graph of a plan: tensors "a", "b" and "c", gathers, vertices, reduction."""
    return _Builder(plan).build()
