"use strict";
// SRAM of the chosen tile, and how much is live when.
class Memory {
  constructor(report, selection) {
    this.report = report;
    this.selection = selection;
    if (!report.sram) { byId("memory-part").textContent = "This report does not have a memory map."; return; }
    selection.listeners.push(() => this.draw());
    byId("map-canvas").addEventListener("pointermove", (event) => this.point(placeOf(event)));
    byId("live-canvas").addEventListener("pointermove", (event) => this.pointLive(placeOf(event)));
    this.draw();
  }

  // Everything placed on the tile: {name, address, bytes, code}.
  blocks(tile) {
    const { sram, arrays } = this.report, found = [];
    let at = sram.base;
    sram.codeParts.forEach((name, i) => {
      const bytes = arrays.sram_code[tile * sram.codeParts.length + i];
      if (bytes) found.push({ name, address: at, bytes, code: true });
      at += bytes;
    });
    arrays.sram_tile.forEach((owner, i) => {
      if (owner !== tile) return;
      const name = sram.names[arrays.sram_name[i]];
      found.push({ name, address: arrays.sram_address[i], bytes: arrays.sram_bytes[i], code: false });
    });
    return found;
  }

  colour(block) {
    if (block.code) return css("sync");
    const hue = (this.report.sram.names.indexOf(block.name) * 67 + 205) % 360;
    return `hsl(${hue} 52% 52%)`;
  }

  draw() {
    if (!this.report.sram) return;
    const tile = this.selection.tile, { base, size } = this.report.sram;
    const { draw, width } = canvasOf("map-canvas");
    this.now = this.blocks(tile);
    this.x = (address) => 4 + (width - 8) * (address - base) / size;
    draw.fillStyle = css("idle");
    draw.fillRect(4, 8, width - 8, 38);
    for (const block of this.now) {
      draw.fillStyle = this.colour(block);
      const x = this.x(block.address);
      draw.fillRect(x, 8, Math.max(1, this.x(block.address + block.bytes) - x), 38);
    }
    label(draw, `0x${base.toString(16)}`, 4, 58);
    label(draw, `0x${(base + size).toString(16)}`, width - 4, 58, "right");
    byId("memory-tile").textContent = tile;
    this.table();
    this.drawLive();
  }

  table() {
    const total = new Map();
    for (const block of this.now) total.set(block.name, (total.get(block.name) || 0) + block.bytes);
    const used = [...total.values()].reduce((a, b) => a + b, 0);
    const rows = [...total].sort((a, b) => b[1] - a[1]);
    rows.push(["free", this.report.sram.size - used]);
    byId("map-parts").replaceChildren(...rows.map(([name, bytes]) => {
      const row = document.createElement("div"), mark = document.createElement("i");
      const term = document.createElement("dt"), value = document.createElement("dd");
      mark.style.background = name === "free" ? css("idle") : this.colour(this.now.find((block) => block.name === name));
      term.append(mark, name);
      value.textContent = number(bytes);
      row.append(term, value);
      return row;
    }));
    byId("map-info").textContent = `${number(used)} of ${number(this.report.sram.size)} B in use on tile ${this.selection.tile}`;
  }

  point({ x }) {
    const block = this.now.find((b) => this.x(b.address) <= x && x <= Math.max(this.x(b.address + b.bytes), this.x(b.address) + 1));
    if (block) {
      byId("map-info").textContent =
        `${block.name}: ${number(block.bytes)} B at 0x${block.address.toString(16)}`;
    }
  }

  // Live bytes of every superstep: of the tile, and the most and the mean over tiles.
  drawLive() {
    const { tiles, arrays, sram } = this.report, { draw, width, height } = canvasOf("live-canvas");
    const steps = sram.steps, live = arrays.live, tile = this.selection.tile;
    this.curves = { most: [], mean: [], "this tile": [] };
    for (let s = 0; s < steps; s++) {
      const row = live.subarray(s * tiles, (s + 1) * tiles);
      this.curves.most.push(row.reduce((a, b) => Math.max(a, b), 0));
      this.curves.mean.push(row.reduce((a, b) => a + b, 0) / tiles);
      this.curves["this tile"].push(row[tile]);
    }
    const top = Math.max(...this.curves.most), left = 66, bottom = height - 24;
    valueAxis(draw, 6, bottom, left, width - 6, top, kib, 1024);
    const colours = { most: "exchange", mean: "sync", "this tile": "accent" };
    this.step = (width - 6 - left) / steps;
    Object.entries(this.curves).forEach(([name, values]) => {
      draw.strokeStyle = css(colours[name]);
      draw.lineWidth = 2;
      draw.beginPath();
      values.forEach((value, s) => {
        const y = bottom - (bottom - 6) * (top > 0 ? value / top : 0);
        draw.lineTo(left + s * this.step, y);
        draw.lineTo(left + (s + 1) * this.step, y);
      });
      draw.stroke();
      draw.lineWidth = 1;
    });
    byId("live-info").textContent = `at most ${number(top)} B live on a tile, ${number(Math.max(...this.curves["this tile"]))} B on this one`;
  }

  pointLive({ x }) {
    const step = Math.floor((x - 66) / this.step), { computeNames, exchangeNames } = this.report;
    if (step < 0 || step >= this.report.sram.steps) return;
    const name = step % 2 ? stepName("exchange", exchangeNames[(step - 1) / 2]) : stepName("compute", computeNames[step / 2]);
    byId("live-info").textContent = `${name}: ${number(this.curves.most[step])} B at most, ` +
      `${number(this.curves["this tile"][step])} B on tile ${this.selection.tile}`;
  }
}
