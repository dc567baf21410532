"""A headless Chromium, driven over its debugging protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Keeps what canvases draw, from the last time that they were cleared.
_WATCH = """(() => { window.drawn = {}; const p = CanvasRenderingContext2D.prototype;
    for (const method of ["fillText", "fillRect", "moveTo", "lineTo", "arc"]) {
      const own = p[method];
      p[method] = function (...given) {
        (window.drawn[this.canvas.id] ||= []).push({ method, given, colour: this.fillStyle });
        return own.apply(this, given);
      };
    }
    const clear = p.clearRect;
    p.clearRect = function (...given) { window.drawn[this.canvas.id] = []; return clear.apply(this, given); };
})()"""

WAIT = 60  # seconds; a busy machine starts a browser slowly


def chromium() -> str:
    """The browser's path; the test is skipped without one."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return found


class Page:
    """One tab."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._next = 0
        self.problems: list[str] = []  # console errors, exceptions, requests

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, wait for its answer; remember what the page complains about meanwhile."""
        self._next += 1
        self._socket.send(json.dumps({"id": self._next, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT))
            self._note(message)
            if message.get("id") == self._next:
                assert "error" not in message, message
                return dict(message["result"])

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(parameters["exceptionDetails"])[:600])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            self.problems.append(json.dumps(parameters["args"]))
        elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(("file:", "data:")):
            self.problems.append(f"request of {parameters['request']['url']}")

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        """Load a page and wait until it says that it is drawn."""
        self.call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + WAIT
        while self.run("document.documentElement?.dataset.ready") != "yes":
            assert time.monotonic() < end, self.problems
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """Text of the first element that a CSS selector finds."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).textContent"))

    def texts(self, selector: str) -> list[str]:
        """Text of all elements that a CSS selector finds."""
        return list(self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)"))

    def figures(self) -> dict[str, str]:
        """Every named figure of the page."""
        script = "Object.fromEntries([...document.querySelectorAll('[data-figure]')]"
        return dict(self.run(script + ".map((e) => [e.dataset.figure, e.textContent]))"))

    def expect(self, selector: str, wanted: Sequence[str]) -> None:
        """Every element that a CSS selector finds has the wanted text, and counts as compared from now on."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        texts = self.run(f"{found}.map((e) => {{ e.dataset.compared = 'yes'; return e.textContent; }})")
        assert texts == list(wanted), f"{selector}: {texts} in place of {list(wanted)}"

    def not_compared(self, within: str = "body") -> list[str]:
        """Every text with a digit that is shown and that no expect() has covered."""
        script = """((root) => {
            const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), found = [];
            while (texts.nextNode()) {
              const { parentElement, textContent } = texts.currentNode;
              const hidden = parentElement.closest("script, style, template, noscript, dialog, [data-compared]");
              if (/\\d/.test(textContent) && !hidden) found.push(textContent.trim());
            }
            return found; })"""
        return list(self.run(f"{script}(document.querySelector({json.dumps(within)}))"))

    def drawn(self, identifier: str, method: str) -> list[dict[str, Any]]:
        """What a canvas drew since it was last cleared, by one method: its arguments and the colour."""
        return list(self.run(f"(window.drawn[{json.dumps(identifier)}] || []).filter((c) => c.method === '{method}')"))

    def choose(self, identifier: str, value: Any) -> None:
        """Set a select or an input and let the page know."""
        field = f"document.getElementById({json.dumps(identifier)})"
        self.run(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('change'))")

    def press(self, identifier: str, key: str) -> None:
        """Focus an element and press a key."""
        self.run(f"document.getElementById({json.dumps(identifier)}).focus()")
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 else "")

    def click(self, identifier: str, x: float, y: float) -> None:
        """Click into an element, at CSS pixels from its corner."""
        script = f"(() => {{ const e = document.getElementById({json.dumps(identifier)});"
        box = self.run(script + "e.scrollIntoView(); const b = e.getBoundingClientRect(); return [b.left, b.top]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            place = {"x": box[0] + x, "y": box[1] + y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **place)

    def hover(self, identifier: str, x: float, y: float) -> None:
        """Move the mouse over an element, to CSS pixels from its corner."""
        self.run(
            f"""(() => {{ const e = document.getElementById({json.dumps(identifier)}), b = e.getBoundingClientRect();
            e.dispatchEvent(new PointerEvent('pointermove', {{clientX: b.left + {x}, clientY: b.top + {y}}})); }})()"""
        )

    def screenshot(self, path: Path, dark: bool = False) -> None:
        """The whole page as a picture."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip={**size, "scale": 1})
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browser(folder: Path, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """Start a browser whose files lie in ``folder``; it ends with the block."""
    from websockets.sync.client import connect

    command = [
        *(chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"),
        *("--disable-background-networking", "--disable-dev-shm-usage", f"--window-size={width},{height}"),
        *("--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(folder, process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            tab = next(entry for entry in json.load(answer) if entry["type"] == "page")
        with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.call(f"{domain}.enable")
            page.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
            yield page
    finally:
        process.kill()
        process.wait()


def _port(folder: Path, process: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + WAIT
    while time.monotonic() < end and process.poll() is None:
        try:
            return int((folder / "DevToolsActivePort").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            time.sleep(0.05)
    raise AssertionError("the browser did not start")
