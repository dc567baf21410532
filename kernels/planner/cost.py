"""Cycles of the matmul vertices, the reduction and an exchange. Everything takes integers or integer arrays.

A launch of the six workers at cycle c (``runall`` issues), the busiest with T turns: workers start in their own slots
c + launch .. c + launch + 5, so the last one exits at c + launch + 6 T - 1 and the supervisor goes on ``local_sync``
later. Instructions between ``runall`` and ``sync 2`` issue from the first exit on; a taken branch among them is not
hidden by it. Exact where six divides the positions; otherwise workers with fewer positions exit early, which hides
(part of) those branches, and the true figure is lower: by up to 6 cycles per launch and two branches per out group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.codelets import (
    ACC_INIT_TURNS,
    INIT_TURNS,
    UNROLLED,
    WORKERS,
    MatmulCodelet,
    ReduceCodelet,
    SlicCodelet,
    copy_turns,
    matmul_codelet,
    slic_codelet,
)
from kernels.contraction.problem import Shape
from tile_emu.chips import Chip
from tile_emu.graph.codelets import launch_cycles as launch_cycles

Int = Any  # int or an integer array

CALL = 14  # the supervisor program's `setzi $m0, state` and taken `call`


def ceil_div(a: Int, b: Int) -> Int:
    """a / b rounded up."""
    return -(-a // b)


def matmul_cycles(codelet: MatmulCodelet, chip: Chip, positions: Int, k_groups: Int, out_groups: Int, acc: bool) -> Int:
    """Tile cycles of one matmul vertex, call to return, by the supervisor code of amp_supervisor.inc."""
    turn, timing = chip.timing.worker_turn, chip.timing.supervisor
    branch = timing.taken_branch
    exited = timing.launch + timing.local_sync - 1  # runall issue + 6 T + this: first cycle after sync 2
    free = timing.launch  # runall issue + 6 T + this: first slot that a worker gives back
    n = codelet.turns * ceil_div(positions, WORKERS)
    first = turn * (n + (codelet.acc_turns if acc else codelet.first_turns))
    init = turn * (ACC_INIT_TURNS if acc else INIT_TURNS)
    later = k_groups - 1
    loops = np.maximum(ceil_div(later, UNROLLED) - 1, 0)  # taken branches of the unrolled loop
    # after the first launch: add, mov, br, then sync of the next launch; or past the loop: mov, brnzdec
    enter = np.where(later > 0, free + 2 + branch + 1, free + 2 + branch)
    # after the last launch: add, brnzdec of the loop, mov, brnzdec of the out groups, then sync
    leave = np.where(later > 0, free + 3, 1) + branch + 1
    stop = np.where(later > 0, max(exited, free + 5), 3)
    loaded = codelet.weight_cycles  # one cycle each, then runall
    rest = later * (loaded + turn * (n + codelet.next_turns)) + np.maximum(later - 1, 0) * exited
    rest = rest + loops * (free + 1 + branch + 1 - exited)
    group = loaded + first + enter + rest
    start = 12 + timing.put - 1 + (branch if acc else 0) + 1
    finish = turn * codelet.finish_turns + exited + branch
    return start + init + out_groups * group + (out_groups - 1) * leave + stop + finish


def slic_cycles(codelet: SlicCodelet, chip: Chip, positions: Int, windows: Int) -> Int:
    """Tile cycles of one slim convolution vertex, call to return."""
    turn, timing = chip.timing.worker_turn, chip.timing.supervisor
    branch, free = timing.taken_branch, timing.launch
    exited = timing.launch + timing.local_sync - 1
    n = codelet.grain * ceil_div(positions, codelet.grain * WORKERS)
    first = codelet.weight_cycles + turn * (n + codelet.first_turns)
    # after every launch but the last: add, brnzdec taken, sync; after the first: brneg, sync
    later = (windows - 1) * (codelet.weight_cycles + turn * (n + codelet.next_turns))
    between = np.where(windows > 1, exited, 0) + np.maximum(windows - 2, 0) * (free + 2 + branch)
    last = np.where(windows > 1, exited, np.maximum(exited, free + branch + 1))
    return 5 + timing.put + first + between + later + last + branch


def codelet_for(shape: Shape, chip: Chip) -> MatmulCodelet | SlicCodelet:
    """The codelet of a contraction: the slim one for windows."""
    slim = slic_codelet(shape.dtype, chip) if shape.window > 1 else None
    return slim or matmul_codelet(shape.dtype, chip)


def vertex_cycles(
    codelet: MatmulCodelet | SlicCodelet, chip: Chip, positions: Int, planes: Int, out_groups: Int, acc: bool
) -> Int:
    """Tile cycles of one vertex, call to return."""
    if isinstance(codelet, SlicCodelet):
        return slic_cycles(codelet, chip, positions, planes)
    return matmul_cycles(codelet, chip, positions, planes, out_groups, acc)


def reduce_cycles(codelet: ReduceCodelet, chip: Chip, nbytes: Int, rows: Int) -> Int:
    """Tile cycles of one reduction vertex over ``nbytes`` of sums and ``rows`` received rows, call to return."""
    return codelet.cycles(chip, nbytes, rows)


def copy_cycles(chip: Chip, rows: Int, pairs: Int) -> Int:
    """Tile cycles of one copy vertex whose busiest worker copies ``rows`` rows of ``pairs`` 16-byte pieces."""
    return launch_cycles(chip, copy_turns(rows, pairs))


# Words of the busiest receiver to events of the longest row: paths, gaps and the drain. Inferred from the scheduler's
# results on matmul exchanges; see tests/test_planner.py.
ROW_FIXED = 150
ROW_SLACK = 1.005
# The same where tiles with other taps read other rows of X: shares are sent several times, to sets of tiles that
# overlap, and receivers wait for one another. Inferred from 3 x 3 layers of ResNet-50: 1.01 to 1.17.
TAP_SLACK = 1.1


def exchange_cycles(chip: Chip, words: Int) -> Int:
    """Cycles of an exchange whose busiest tile receives ``words``: arming, barrier, call, row, return. 0 for none."""
    timing = chip.timing
    fixed = timing.supervisor.put + timing.sync_release + 2 * timing.supervisor.taken_branch + ROW_FIXED
    return np.where(words > 0, fixed + np.ceil(ROW_SLACK * words), 0)
