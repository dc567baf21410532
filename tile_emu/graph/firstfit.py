"""The inner loop of placement: highest address at which a block breaks no rule."""

from __future__ import annotations

from typing import Any

from tile_emu.jit import jit


@jit(inline=True)
def _element(address, base, split, element):  # type: ignore[no-untyped-def]
    if address < split:
        return (address - base) // element
    return (split - base) // element + (address - split) // (2 * element)


@jit(inline=True)
def _element_start(number, base, split, element):  # type: ignore[no-untyped-def]
    below = (split - base) // element
    if number < below:
        return base + number * element
    return split + (number - below) * 2 * element


@jit(leaf=True)
def first_fit(sizes: Any, order: Any, lowest: Any, align: Any, conflict: Any, constants: Any, address: Any) -> None:
    """Place the blocks of each signature one after another, each as high as it can go.

    ``sizes`` i64[S, C] bytes; ``order`` i64[C]; ``lowest``, ``align`` i64[C] bytes; ``conflict`` bool[C, C];
    ``constants`` (base, end, interleaved base, element bytes); ``address`` i64[S, C] is filled, -1 where a block found
    no place (and those after it are not tried), ``base`` for empty blocks. The highest legal place always ends at the
    end of memory, under a placed block, or at the lowest element of a conflicting one, so only these are tried.
    """
    base, end, split, element = constants
    for s in range(sizes.shape[0]):
        for c in range(sizes.shape[1]):
            address[s, c] = base if sizes[s, c] == 0 else -1
        for k in range(order.shape[0]):
            c = order[k]
            size = sizes[s, c]
            if size == 0:
                continue
            best = -1
            for i in range(-1, 2 * k):
                top = end
                if i >= 0:
                    above = order[i >> 1]
                    if sizes[s, above] == 0:
                        continue
                    top = address[s, above]
                    if i & 1:
                        if not conflict[c, above]:
                            continue
                        top = _element_start(_element(top, base, split, element), base, split, element)
                start = (top - size) // align[c] * align[c]
                if start <= best or start < lowest[c]:
                    continue
                low = _element(start, base, split, element)
                high = _element(start + size - 1, base, split, element)
                legal = True
                for j in range(k):
                    other = order[j]
                    if sizes[s, other] == 0:
                        continue
                    begin = address[s, other]
                    past = begin + sizes[s, other]
                    if start < past and begin < start + size:
                        legal = False
                        break
                    if conflict[c, other]:
                        if low <= _element(past - 1, base, split, element):
                            if _element(begin, base, split, element) <= high:
                                legal = False
                                break
                if legal:
                    best = start
            address[s, c] = best
            if best < 0:
                break
