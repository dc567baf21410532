"use strict";
// Puts the parts together; the chosen tile is common to all of them.
class Selection {
  constructor(tile, tiles) {
    this.tile = tile;
    this.tiles = tiles;
    this.listeners = [];
  }

  choose(tile) {
    if (!(tile >= 0 && tile < this.tiles)) return;
    this.tile = tile;
    byId("tile-number").value = tile;
    for (const listener of this.listeners) listener();
  }
}

function start(report) {
  const selection = new Selection(report.firstTile, report.tiles);
  const timeline = new Timeline(report, selection);
  const parts = [timeline, new Tiles(report, selection), new Source(report), new Traffic(report), new Memory(report, selection)];
  const field = byId("tile-number");
  field.max = report.tiles - 1;
  field.value = selection.tile;
  field.onchange = () => selection.choose(+field.value);
  const sampled = fillSelect("tile-sampled", [["", "-"], ...report.sampled.map((t) => [t, t])], "");
  sampled.onchange = () => { if (sampled.value !== "") selection.choose(+sampled.value); };
  for (const row of document.querySelectorAll("tr.go")) {
    const go = () => {
      selection.choose(+row.dataset.tile);
      timeline.show(report.stretches[+row.dataset.stretch]);
      byId("timeline").scrollIntoView();
    };
    row.onclick = go;
    row.onkeydown = (event) => { if (event.key === "Enter") go(); };
  }
  const redraw = () => { timeline.draw(); parts[1].change(); parts[3].draw(); parts[4].draw(); };
  redraw();
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.documentElement.dataset.ready = "yes";
}

loadReport().then(start).catch((problem) => {
  byId("failure").textContent = `This page cannot be shown by this browser: ${problem.message}`;
  throw problem;
});
