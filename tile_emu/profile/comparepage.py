"""Saved reports side by side as one offline page. Everything is drawn here, as SVG; the page has no script."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from tile_emu.profile.compare import Row, explanation, layer_rows, rows, superstep_rows, version_note
from tile_emu.profile.html import PARTS, part_key, pieces, plain_page, table
from tile_emu.profile.subject import Subject
from tile_emu.profile.text import count

_WIDTH, _HEIGHT = 860, 260  # of the curves
_POINTS = 240  # of a curve
_HUES = (212, 28, 152, 280, 340, 60, 190, 110)


def comparison_page(subjects: Sequence[Subject]) -> str:
    """The page as text."""
    named = (f"{s.name}: {s.title}{version_note(s, subjects)}" for s in subjects)
    titles = "".join(
        f'<span><i style="background:{_colour(i)}"></i>{html.escape(text)}</span>' for i, text in enumerate(named)
    )
    parts = [f'<div class="key">{titles}</div>', _rows("Figures", rows(subjects), subjects), _split(subjects)]
    parts += [_reasons(subjects), _curves(subjects)]
    parts.append(_rows("Cycles by layer", layer_rows(subjects), subjects))
    parts.append(_rows("Cycles by superstep, the most different first", superstep_rows(subjects), subjects))
    return plain_page(" and ".join(s.name for s in subjects), "", "".join(parts))


def _colour(index: int) -> str:
    return f"hsl({_HUES[index % len(_HUES)]} 58% 50%)"


def _rows(title: str, found: Sequence[Row], subjects: Sequence[Subject]) -> str:
    if not found:
        return ""
    cells = [(row.name or "(no vertices)", *row.texts()) for row in found]
    head = ("", *(s.name for s in subjects))
    return f"<h2>{title}</h2>" + table(head, cells, numeric=range(1, len(head)))


def _split(subjects: Sequence[Subject]) -> str:
    """Bars of compute, exchange and sync, to one scale."""
    figures = [s.figures for s in subjects]
    longest = max(f["cycles"] for f in figures) or 1.0
    bars = []
    for subject, f in zip(subjects, figures):
        bar = pieces({part: f.get(f"phases.{part}", 0.0) for part in PARTS}, longest)
        bars.append(f'<p>{html.escape(subject.name)}: {count(f["cycles"])} cycles</p><div class="split">{bar}</div>')
    return f"<h2>Where the cycles go</h2>{''.join(bars)}{part_key()}"


def _reasons(subjects: Sequence[Subject]) -> str:
    text = "<h2>What explains the difference</h2>"
    for other in subjects[1:]:
        head, *parts = explanation(subjects[0], other)
        text += f"<p>{html.escape(head)}</p><ul>{''.join(f'<li>{html.escape(line)}' for line in parts)}</ul>"
    return text


def _curves(subjects: Sequence[Subject]) -> str:
    """Issue utilisation of the tiles used, in ascending order, one curve a report."""
    shares = [(i, s.utilisation) for i, s in enumerate(subjects)]
    known = [(i, values) for i, values in shares if values is not None and len(values)]
    if not known:
        return ""
    top = max(float(values[-1]) for _, values in known)
    lines = []
    for i, values in known:
        at = np.linspace(0, len(values) - 1, min(_POINTS, len(values))).round().astype(int)
        x = 50 + (_WIDTH - 60) * at / max(1, len(values) - 1)
        y = _HEIGHT - 24 - (_HEIGHT - 40) * values[at] / top
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{_colour(i)}" stroke-width="2"/>')
    axis = "".join(
        f'<line x1="50" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
        f'<text x="44" y="{y + 4:.1f}" text-anchor="end" fill="var(--soft)" font-size="12">{100 * share:.3g} %</text>'
        for share in (0.0, top / 2, top)
        for y in (_HEIGHT - 24 - (_HEIGHT - 40) * share / top,)
    )
    legend = f'<text x="50" y="{_HEIGHT - 6}" fill="var(--soft)" font-size="12">tiles used, the least used first</text>'
    frame = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" style="max-width:{_WIDTH}px" role="img">'
    return f"<h2>Issue utilisation of the tiles</h2>{frame}{axis}{''.join(lines)}{legend}</svg>"
