"use strict";
// Words from groups of tiles to groups of tiles.
class Traffic {
  constructor(report) {
    this.report = report;
    if (!report.traffic || !report.exchangeNames.length) {
      byId("traffic-part").textContent = "Nothing was exchanged, or this report does not say what.";
      return;
    }
    this.phase = fillSelect("traffic-phase",
      [[-1, "all together"], ...report.exchangeNames.map((name, i) => [i, `${i}: ${name}`])], -1);
    this.phase.onchange = () => this.draw();
    byId("traffic-canvas").addEventListener("pointermove", (event) => this.point(placeOf(event)));
    this.draw();
  }

  values() {
    const { groups } = this.report.traffic, size = groups * groups, found = new Float64Array(size);
    const words = this.report.arrays.traffic;
    for (let p = 0; p < this.report.exchangeNames.length; p++) {
      if (+this.phase.value >= 0 && p !== +this.phase.value) continue;
      for (let i = 0; i < size; i++) found[i] += words[p * size + i];
    }
    return found;
  }

  draw() {
    if (!this.phase) return;
    const { draw, width, height } = canvasOf("traffic-canvas"), { groups, groupTiles } = this.report.traffic;
    this.now = this.values();
    const most = Math.max(...this.now), side = Math.min(width - 60, height - 40);
    this.cell = side / groups;
    this.now.forEach((words, i) => {
      draw.fillStyle = words > 0 ? heat(words / most) : css("idle");
      draw.fillRect(56 + (i % groups) * this.cell, 20 + Math.floor(i / groups) * this.cell, this.cell - 0.5, this.cell - 0.5);
    });
    label(draw, `to tiles 0 .. ${this.report.tiles - 1}, ${groupTiles} a column`, 56, 9);
    draw.save();
    draw.translate(44, 20);
    draw.rotate(-Math.PI / 2);
    label(draw, "from tiles", 0, 0, "right");
    draw.restore();
    const total = this.now.reduce((a, b) => a + b, 0);
    byId("traffic-total").textContent = `${number(total)} words delivered, at most ${number(most)} from one group to another; ` +
      "a multicast counts at each receiver";
    byId("traffic-info").textContent = "";
  }

  point({ x, y }) {
    const { groups, groupTiles } = this.report.traffic;
    const to = Math.floor((x - 56) / this.cell), from = Math.floor((y - 20) / this.cell);
    if (to < 0 || to >= groups || from < 0 || from >= groups) return;
    const range = (g) => `${g * groupTiles} .. ${Math.min(this.report.tiles, (g + 1) * groupTiles) - 1}`;
    byId("traffic-info").textContent =
      `tiles ${range(from)} to tiles ${range(to)}: ${number(this.now[from * groups + to])} words`;
  }
}
