"""Pieces of offline pages: tables, cards of figures, templates, the bar of compute, exchange and sync."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from tile_emu.profile.text import count, percent

PARTS = ("compute", "exchange", "sync")

# The utilisations of summary.json with their full names and what they are.
UTILISATIONS = (
    ("issue", "issue utilisation", "turns used / turns available"),
    ("amp", "AMP utilisation", "AMP instructions / turns used"),
    ("mac", "MAC efficiency", "useful MACs / peak of the whole chip"),
    ("balance", "tile balance", "mean / max busy cycles over the tiles used"),
)


def fill_page(template: str, parts: Mapping[str, str]) -> str:
    """The template with every ``@NAME@`` replaced; what is put in is not looked at again."""
    pieces = template.split("@")
    out = pieces[:1]
    for at, piece in enumerate(pieces[1:], 1):
        if piece in parts:
            out.append(parts[piece])
        else:
            out += ["" if pieces[at - 1] in parts else "@", piece]
    return "".join(out)


def embedded(data: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\u0021--")


def page_resource(name: str) -> str:
    """A file of profile/page."""
    return resources.files("tile_emu.profile").joinpath("page", name).read_text(encoding="utf-8")


def figure(name: str, text: str) -> str:
    """A figure that tests find by its name."""
    return f'<b data-figure="{name}">{html.escape(text)}</b>'


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Cards of (name, figure, caption)."""
    made = (
        f'<div class="card">{figure(n, text)}<span>{html.escape(caption)}</span></div>' for n, text, caption in entries
    )
    return f'<div class="cards">{"".join(made)}</div>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    numeric: Sequence[int] = (),
    attributes: Callable[[int], str] | None = None,
    raw: Sequence[int] = (),
) -> str:
    """A table: ``numeric`` columns are set right, ``raw`` ones are markup, ``attributes(i)`` go into the i-th row."""

    def cells(tag: str, row: Sequence[str]) -> str:
        marks = [' class="n"' if i in numeric else "" for i in range(len(row))]
        texts = [text if tag == "td" and i in raw else html.escape(text) for i, text in enumerate(row)]
        return "".join(f"<{tag}{mark}>{text}</{tag}>" for mark, text in zip(marks, texts))

    body = "".join(f"<tr{attributes(i) if attributes else ''}>{cells('td', row)}</tr>" for i, row in enumerate(rows))
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>{body}</tbody></table></div>'


def pieces(phases: Mapping[str, float], whole: float) -> str:
    """Compute, exchange and sync side by side, ``whole`` the full width."""
    return "".join(
        f'<div style="width:{100 * phases[part] / whole:.3f}%;background:var(--{part})"></div>' for part in PARTS
    )


def split(phases: Mapping[str, int], total: int) -> str:
    """The bar of a run's cycles by part, and its legend with the figures."""
    legend = "".join(
        f'<span><i style="background:var(--{part})"></i>{part} <span data-figure="phases.{part}">'
        f"{count(phases[part])}</span> cycles ({percent(phases[part] / max(1, total))})</span>"
        for part in PARTS
    )
    return f'<div class="split">{pieces(phases, max(1, total))}</div><div class="key">{legend}</div>'


def listed(lines: Iterable[str], identifier: str) -> str:
    """Lines as a list; nothing for none."""
    items = "".join(f"<li>{html.escape(line)}" for line in lines)
    return f'<ul id="{identifier}">{items}</ul>' if items else ""


def part_key() -> str:
    """The colours of compute, exchange and sync."""
    marks = "".join(f'<span><i style="background:var(--{part})"></i>{part}</span>' for part in PARTS)
    return f'<div class="key">{marks}</div>'


def plain_page(title: str, subtitle: str, body: str) -> str:
    """An offline page without script."""
    head, below = html.escape(title), f'<p class="soft">{html.escape(subtitle)}</p>' if subtitle else ""
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{head}</title>'
        f"<style>{page_resource('page.css')}</style><header><h1>{head}</h1>{below}</header>"
        f"<main>{body}</main></html>\n"
    )
