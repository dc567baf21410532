"""report.html: one file that shows a run, or all layers of a network, in a browser without network.

The contents of a run (layercontent.py) are one block of compressed text; a page has one block for each layer, and once
the code that shows them.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from tile_emu.profile.html import embedded, fill_page, page_resource
from tile_emu.profile.layercontent import layer_content
from tile_emu.profile.report import Report

_SCRIPTS = (
    *("data.js", "draw.js", "roofline.js", "timeline.js", "tiles.js", "code.js", "traffic.js", "memory.js"),
    *("layer.js", "keys.js", "main.js"),
)


def report_page(report: Report) -> str:
    """The page of one run."""
    content = layer_content(report)
    return whole_page(str(content["title"]), "", [{"name": content["title"], "block": 0}], [content])


def whole_page(
    title: str, overview: str, entries: Sequence[Mapping[str, Any]], contents: Sequence[Mapping[str, Any]]
) -> str:
    """A page as text.

    ``overview``: markup above the runs, empty for a single one. ``entries``: what can be chosen, each with its ``name``
    and ``block``, the index of its contents, None when there are none.
    """
    blocks = "\n".join(
        f'<script type="text/plain" id="block-{i}">{packed_content(content)}</script>'
        for i, content in enumerate(contents)
    )
    return fill_page(
        page_resource("page.html"),
        {
            "TITLE": html.escape(title),
            "CSS": page_resource("page.css"),
            "OVERVIEW": overview,
            "CHOOSER": page_resource("chooser.html") if overview else "",
            "INDEX": embedded(list(entries)),
            "BLOCKS": blocks,
            "SCRIPT": "\n".join(page_resource(name) for name in _SCRIPTS),
        },
    )


def packed_content(content: Mapping[str, Any]) -> str:
    """Contents as deflated JSON in base64."""
    text = json.dumps(content, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(text, 9)).decode()
