"use strict";
// Keys that work anywhere on the page, and the overlay that lists all of them.
const PARTS = ["overview", "timeline", "tiles", "code", "exchange", "memory", "plan"];

const HELP = [
  ["?", "this list"],
  ["1 .. 7", "overview, timeline, tiles, codelets, exchange, memory, plan"],
  ["+  -  0", "zoom the timeline in, out, to all of it"],
  [",  .", "timeline: the superstep before, the next one"],
  ["arrow keys", "timeline: move; chip: the next tile (click or tab to either first)"],
  ["t", "the next tile whose workers were timed"],
  ["g", "type a tile's number"],
  ["c  C", "the next counter, the one before"],
];
const NETWORK_HELP = [["[  ]", "the layer before, the next one"], ["l", "choose a layer"], ["a", "all layers"]];

class Keys {
  constructor(pages) {
    this.pages = pages;
    const lines = pages.several ? [...HELP, ...NETWORK_HELP] : HELP;
    byId("help-keys").replaceChildren(...lines.map(([keys, meaning]) => {
      const row = document.createElement("tr");
      row.append(document.createElement("td"), document.createElement("td"));
      for (const key of keys.split("  ")) {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        row.firstChild.append(cap, " ");
      }
      row.lastChild.textContent = meaning;
      return row;
    }));
    document.addEventListener("keydown", (event) => this.press(event));
    document.addEventListener("click", (event) => { if (event.target.closest("#help-open")) this.help(); });
  }

  help() {
    const help = byId("help");
    if (help.open) help.close(); else help.showModal();
  }

  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    const action = this.action(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  }

  action(key) {
    if (key === "?") return () => this.help();
    if (this.pages.several && "[]la".includes(key)) return this.networkAction(key);
    const { view } = this.pages;
    if (!view) return undefined;
    if (key >= "1" && key <= String(PARTS.length)) return () => view.goTo(PARTS[key - 1]);
    return {
      "+": () => view.timeline.zoom(0.7), "=": () => view.timeline.zoom(0.7), "-": () => view.timeline.zoom(1 / 0.7),
      0: () => view.timeline.showAll(), ",": () => view.timeline.step(-1), ".": () => view.timeline.step(1),
      t: () => view.nextTimed(), g: () => byId("tile-number").select(),
      c: () => view.tiles.nextCounter(1), C: () => view.tiles.nextCounter(-1),
    }[key];
  }

  networkAction(key) {
    return {
      "[": () => this.pages.step(-1), "]": () => this.pages.step(1), l: () => byId("layer").focus(),
      a: () => byId("network").scrollIntoView(),
    }[key];
  }
}
