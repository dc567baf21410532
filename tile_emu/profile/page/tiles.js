"use strict";
// Any counter over all tiles: in their physical places, as a histogram, in order.
class Tiles {
  constructor(report, selection) {
    this.report = report;
    this.selection = selection;
    this.place = new Map();
    report.arrays.place.forEach((at, tile) => this.place.set(at, tile));
    this.counter = fillSelect("counter", report.counters.map((c, i) => [i, c.label]), 0);
    this.phase = byId("counter-phase");
    this.scale = byId("counter-scale");
    this.scale.onchange = () => this.change();
    this.counter.onchange = () => { this.fillPhases(); this.change(); };
    this.phase.onchange = () => this.change();
    this.fillPhases();
    this.listen();
    const { columns, lanes, rows } = report.chip;
    byId("chip-layout").textContent = `The chip as it lies: ${columns} columns of ${lanes} lanes, ${rows} rows of islands, ` +
      "the spine at the top. Click a tile, or use the arrow keys.";
    selection.listeners.push(() => this.drawHeat());
    this.change();
  }

  fillPhases() {
    const names = this.chosen().exchange ? this.report.exchangeNames : this.report.computeNames;
    fillSelect("counter-phase", [[-1, "all together"], ...names.map((name, i) => [i, `${i}: ${name || "(no vertices)"}`])], -1);
  }

  chosen() { return this.report.counters[+this.counter.value]; }

  choose(label) {
    const at = this.report.counters.findIndex((counter) => counter.label === label);
    if (at < 0) return;
    this.counter.value = at;
    this.fillPhases();
    this.change();
  }

  nextCounter(by) {
    const { counters } = this.report, at = (+this.counter.value + by + counters.length) % counters.length;
    this.choose(counters[at].label);
  }

  // Values of the chosen counter by tile.
  values() {
    const { tiles, arrays } = this.report, { name, exchange } = this.chosen(), phase = +this.phase.value;
    const source = arrays[name], found = new Float64Array(tiles);
    const phases = exchange ? this.report.exchangeNames.length : this.report.computeNames.length;
    for (let p = 0; p < phases; p++) {
      if (phase >= 0 && p !== phase) continue;
      for (let tile = 0; tile < tiles; tile++) found[tile] += source[p * tiles + tile];
    }
    if (this.chosen().per) this.divide(found, phase);
    return found;
  }

  // Counts into shares: of the turns that the tile used, or of the cycles that it had.
  divide(found, phase) {
    const { tiles, arrays, computeNames, computeCycles, cycles, workers, turn } = this.report, { name, per } = this.chosen();
    if (per === "cycles") {
      const had = phase < 0 ? cycles : computeCycles[phase];
      const whole = name === "turns" ? had * workers / turn : had;
      for (let tile = 0; tile < tiles; tile++) found[tile] = whole ? found[tile] / whole : 0;
      return;
    }
    for (let tile = 0; tile < tiles; tile++) {
      let turns = 0;
      for (let p = 0; p < computeNames.length; p++) if (phase < 0 || p === phase) turns += arrays.turns[p * tiles + tile];
      found[tile] = turns ? found[tile] / turns : 0;
    }
  }

  // A value as written, and as written where there is little room.
  text(value) { return this.chosen().per ? percent(value) : number(value); }

  short(value) { return this.chosen().per ? `${+(100 * value).toPrecision(3)} %` : shortNumber(value); }

  change() {
    this.now = this.values();
    this.sorted = Float64Array.from(this.now).sort();
    this.most = this.sorted[this.sorted.length - 1];
    this.least = this.sorted[0];
    this.sum = this.now.reduce((a, b) => a + b, 0);
    const whole = this.chosen().per ? `mean ${this.text(this.sum / this.now.length)}` : `total ${this.text(this.sum)}`;
    byId("counter-info").textContent = `${this.chosen().meaning}: ${whole}, least ${this.text(this.least)}, ` +
      `median ${this.text(this.sorted[Math.floor((this.sorted.length - 1) / 2)])}, most ${this.text(this.most)}`;
    this.drawHeat();
    this.drawHistogram();
    this.drawSorted();
  }

  // Lower end of the colour scale and of the histogram.
  low() { return this.scale.value === "least" ? this.least : 0; }

  share(value) {
    const range = this.most - this.low();
    return range > 0 ? (value - this.low()) / range : Number(this.most > 0);
  }

  // Width and height of a tile's cell, and where the grid begins.
  grid(width, height) {
    const { rows, columns, lanes } = this.report.chip, gap = 4;
    return { cell: (width - 40 - columns * gap) / (columns * lanes), line: (height - 46) / rows, gap, lanes, columns, rows };
  }

  drawHeat() {
    const { draw, width, height } = canvasOf("heat-canvas"), g = this.grid(width, height);
    this.size = g;
    for (let row = 0; row < g.rows; row++) {
      if (row % 2 === 0) label(draw, row, 22, 16 + (row + 0.5) * g.line, "right");
      for (let column = 0; column < g.columns; column++) {
        if (row === 0) label(draw, column, this.xOf(column, 0) + 2 * g.cell, 7, "center");
        for (let lane = 0; lane < g.lanes; lane++) {
          const tile = this.place.get((row * g.columns + column) * g.lanes + lane);
          if (tile === undefined) continue;
          draw.fillStyle = tile < this.report.tiles ? heat(this.share(this.now[tile])) : css("idle");
          draw.fillRect(this.xOf(column, lane), 16 + row * g.line, g.cell - 0.6, g.line - 1.4);
        }
      }
    }
    this.outline(draw, g);
    this.legend(draw, width, height);
    byId("heat-info").textContent = this.describe(this.selection.tile);
  }

  xOf(column, lane) { return 32 + column * (this.size.lanes * this.size.cell + this.size.gap) + lane * this.size.cell; }

  position(tile) {
    const at = this.report.arrays.place[tile], { columns, lanes } = this.report.chip;
    return { row: Math.floor(at / (columns * lanes)), column: Math.floor(at / lanes) % columns, lane: at % lanes };
  }

  outline(draw, g) {
    const { row, column, lane } = this.position(this.selection.tile);
    draw.strokeStyle = css("accent");
    draw.lineWidth = 2.5;
    draw.strokeRect(this.xOf(column, lane) - 1, 15 + row * g.line, g.cell + 1.4, g.line + 0.6);
    draw.lineWidth = 1;
  }

  legend(draw, width, height) {
    for (let i = 0; i < 120; i++) {
      draw.fillStyle = heat(i / 119);
      draw.fillRect(32 + i * 2, height - 24, 2, 10);
    }
    label(draw, this.short(this.low()), 32, height - 5);
    label(draw, this.short(this.most), 272, height - 5, "right");
    draw.fillStyle = css("idle");
    draw.fillRect(300, height - 22, 12, 10);
    label(draw, "no part of the program", 318, height - 16);
  }

  describe(tile) {
    const { row, column, lane } = this.position(tile);
    return `tile ${tile} (column ${column}, row ${row}, lane ${lane}): ${this.text(this.now[tile])} ${this.chosen().label}`;
  }

  tileAt({ x, y }) {
    const g = this.size, wide = g.lanes * g.cell + g.gap;
    const column = Math.floor((x - 32) / wide), lane = Math.floor(((x - 32) % wide) / g.cell);
    const row = Math.floor((y - 16) / g.line);
    if (column < 0 || column >= g.columns || lane >= g.lanes || row < 0 || row >= g.rows) return undefined;
    const tile = this.place.get((row * g.columns + column) * g.lanes + lane);
    return tile !== undefined && tile < this.report.tiles ? tile : undefined;
  }

  listen() {
    const canvas = byId("heat-canvas");
    canvas.addEventListener("click", (event) => {
      const tile = this.tileAt(placeOf(event));
      if (tile !== undefined) this.selection.choose(tile);
    });
    canvas.addEventListener("pointermove", (event) => {
      const tile = this.tileAt(placeOf(event));
      byId("heat-info").textContent = this.describe(tile === undefined ? this.selection.tile : tile);
    });
    canvas.addEventListener("pointerleave", () => { byId("heat-info").textContent = this.describe(this.selection.tile); });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      this.walk(...step);
    });
  }

  // The next tile of the program in a direction, lanes first.
  walk(dx, dy) {
    const { lanes, columns, rows } = this.report.chip;
    let { row, column, lane } = this.position(this.selection.tile), across = column * lanes + lane;
    for (;;) {
      across += dx;
      row += dy;
      if (across < 0 || across >= columns * lanes || row < 0 || row >= rows) return;
      const tile = this.place.get(row * columns * lanes + across);
      if (tile !== undefined && tile < this.report.tiles) { this.selection.choose(tile); return; }
    }
  }

  drawHistogram() {
    const { draw, width, height } = canvasOf("histogram-canvas"), bins = 40, counts = new Array(bins).fill(0);
    for (const value of this.now) counts[Math.max(0, Math.min(bins - 1, Math.floor(bins * this.share(value))))]++;
    const top = Math.max(...counts), left = 56, bottom = height - 20;
    valueAxis(draw, 6, bottom, left, width - 6, top);
    counts.forEach((count, i) => {
      const tall = (bottom - 6) * count / top, wide = (width - 6 - left) / bins;
      draw.fillStyle = css("compute");
      draw.fillRect(left + i * wide, bottom - tall, wide - 1, tall);
    });
    label(draw, this.short(this.low()), left, height - 8);
    label(draw, this.short(this.most), width - 6, height - 8, "right");
    byId("histogram-info").textContent = `${number(counts.reduce((a, b) => a + b, 0))} tiles; ` +
      `${number(this.now.filter((v) => v === 0).length)} of them at 0`;
  }

  drawSorted() {
    const { draw, width, height } = canvasOf("sorted-canvas"), left = 56, bottom = height - 20, n = this.sorted.length;
    valueAxis(draw, 6, bottom, left, width - 6, this.most, (value) => this.short(value));
    draw.strokeStyle = css("compute");
    draw.lineWidth = 2;
    draw.beginPath();
    this.sorted.forEach((value, i) => {
      const x = left + (width - 6 - left) * (n > 1 ? i / (n - 1) : 0), y = bottom - (bottom - 6) * (this.most > 0 ? value / this.most : 0);
      if (i) draw.lineTo(x, y); else draw.moveTo(x, y);
    });
    draw.stroke();
    draw.lineWidth = 1;
    label(draw, "least", left, height - 8);
    label(draw, "most", width - 6, height - 8, "right");
    const mean = this.sum / n;
    byId("sorted-info").textContent = this.most > 0 ? `mean / most ${percent(mean / this.most)}` : "";
  }
}
