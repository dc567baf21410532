"use strict";
// The whole view of one run, made anew from the template; the chosen tile is common to all of its parts.
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

class LayerView {
  constructor(content) {
    const { report } = content, view = byId("run").content.cloneNode(true);
    for (const place of view.querySelectorAll("[data-text]")) place.textContent = content[place.dataset.text];
    for (const place of view.querySelectorAll("[data-part]")) place.innerHTML = content.parts[place.dataset.part];
    byId("view").replaceChildren(view);
    this.report = report;
    this.selection = new Selection(report.firstTile, report.tiles);
    this.roofline = new Roofline(report);
    this.timeline = new Timeline(report, this.selection);
    this.tiles = new Tiles(report, this.selection);
    this.source = new Source(report);
    this.traffic = new Traffic(report);
    this.memory = new Memory(report, this.selection);
    this.chooseTiles();
    this.links();
    this.timeline.draw();
  }

  chooseTiles() {
    const field = byId("tile-number"), { report, selection } = this;
    field.max = report.tiles - 1;
    field.value = selection.tile;
    field.onchange = () => selection.choose(+field.value);
    this.timed = fillSelect("tile-sampled", [["", report.sampled.length ? "choose" : "none"],
      ...report.sampled.map((t) => [t, report.slowTiles.includes(t) ? `${t} (held the chip up)` : t])], "");
    this.timed.onchange = () => { if (this.timed.value !== "") selection.choose(+this.timed.value); };
  }

  // The next tile whose workers were timed.
  nextTimed() {
    const { sampled } = this.report;
    if (sampled.length) this.selection.choose(sampled.find((t) => t > this.selection.tile) ?? sampled[0]);
  }

  links() {
    for (const row of byId("view").querySelectorAll("tr.go")) {
      pressable(row, () => {
        this.selection.choose(+row.dataset.tile);
        this.timeline.show(this.report.stretches[+row.dataset.stretch]);
        byId("timeline").scrollIntoView();
      });
    }
    for (const link of byId("view").querySelectorAll("nav a")) {
      link.onclick = (event) => { event.preventDefault(); this.goTo(link.hash.slice(1)); };
    }
  }

  goTo(id) { byId(id).scrollIntoView(); }

  redraw() {
    this.roofline.draw();
    this.timeline.draw();
    this.tiles.change();
    this.traffic.draw();
    this.memory.draw();
  }
}
