"use strict";
// Supersteps over time: percentiles of all tiles, one tile, its six workers.
const ROWS = 25;  // percentile rows
const BANDS_TOP = 32, BAND = 6, TILE_TOP = 196, WORKER_HEIGHT = 14;  // CSS pixels

class Timeline {
  constructor(report, selection) {
    this.report = report;
    this.selection = selection;
    this.total = Math.max(1, report.cycles);
    this.view = [0, this.total];
    this.left = 112;
    this.quantiles = this.sortedQuantiles();
    this.listen();
    selection.listeners.push(() => this.draw());
  }

  // Per phase, the cycles at which each percentile row starts, ends its compute, and leaves the exchange.
  sortedQuantiles() {
    const { tiles, computeNames, arrays } = this.report, found = [];
    const pick = (sorted) => Float64Array.from({ length: ROWS },
      (_, row) => sorted[Math.round(row * (tiles - 1) / (ROWS - 1))]);
    for (let phase = 0; phase < computeNames.length; phase++) {
      const rowOf = (array) => Float64Array.from(array.subarray(phase * tiles, (phase + 1) * tiles)).sort();
      found.push({ start: pick(rowOf(arrays.start)), end: pick(rowOf(arrays.end)) });
    }
    return found;
  }

  x(cycle) {
    return this.left + (cycle - this.view[0]) / (this.view[1] - this.view[0]) * (this.width - this.left - 8);
  }

  cycle(x) {
    return this.view[0] + (x - this.left) / (this.width - this.left - 8) * (this.view[1] - this.view[0]);
  }

  setView(first, last) {
    const length = Math.min(this.total, Math.max(12, last - first));
    const start = Math.min(this.total - length, Math.max(0, first));
    this.view = [start, start + length];
    this.draw();
  }

  zoom(factor, around = (this.view[0] + this.view[1]) / 2) {
    const [first, last] = this.view;
    this.setView(around - (around - first) * factor, around + (last - around) * factor);
  }

  move(share) {
    const by = share * (this.view[1] - this.view[0]);
    this.setView(this.view[0] + by, this.view[1] + by);
  }

  box(first, last, y, height, colour) {
    if (last <= this.view[0] || first >= this.view[1] || last <= first) return;
    const a = Math.max(this.left, this.x(first)), b = Math.min(this.width - 8, this.x(last));
    this.pen.fillStyle = colour;
    this.pen.fillRect(a, y, Math.max(0.6, b - a), height);
  }

  draw() {
    const { draw, width, height } = canvasOf("timeline-canvas");
    this.pen = draw;
    this.width = width;
    const colours = { compute: css("compute"), sync: css("sync"), exchange: css("exchange") };
    cycleAxis(draw, (c) => this.x(c), this.view[0], this.view[1], this.left, width - 8, height - 20);
    label(draw, "chip", 0, 14);
    for (const s of this.report.stretches) {
      this.box(s.start, s.start + s.cycles, 4, 20, colours[s.kind]);
      this.nameOf(s, 14);
    }
    this.drawBands(BANDS_TOP, BAND, colours);
    this.drawTile(TILE_TOP, colours);
    byId("timeline-info").textContent = `cycles ${number(this.view[0])} to ${number(this.view[1])}` +
      ` of ${number(this.report.cycles)}, tile ${this.selection.tile}`;
  }

  nameOf(s, y) {
    const a = Math.max(this.left, this.x(s.start)), b = Math.min(this.width - 8, this.x(s.start + s.cycles));
    const text = s.name || s.kind;
    if (s.kind === "sync" || b - a < this.pen.measureText(text).width + 10) return;
    this.pen.fillStyle = css("on-fill");
    this.pen.textAlign = "center";
    this.pen.fillText(text, (a + b) / 2, y);
  }

  drawBands(top, height, colours) {
    label(this.pen, "earliest tiles", 0, top + height / 2);
    label(this.pen, "median", 0, top + height * ROWS / 2);
    label(this.pen, "last tiles", 0, top + height * (ROWS - 0.5));
    const { releases } = this.report;
    this.quantiles.forEach((phase, index) => {
      const next = this.quantiles[index + 1];
      for (let row = 0; row < ROWS; row++) {
        const y = top + row * height;
        this.box(phase.start[row], phase.end[row], y, height - 0.5, colours.compute);
        if (next) {
          this.box(phase.end[row], releases[index], y, height - 0.5, colours.sync);
          this.box(releases[index], next.start[row], y, height - 0.5, colours.exchange);
        }
      }
    });
  }

  drawTile(top, colours) {
    const { tiles, computeNames, arrays, releases, workers } = this.report, tile = this.selection.tile;
    label(this.pen, `tile ${tile}`, 0, top + 8, "left", "ink");
    for (let phase = 0; phase < computeNames.length; phase++) {
      const at = phase * tiles + tile;
      this.box(arrays.start[at], arrays.end[at], top, 16, colours.compute);
      if (phase < releases.length) {
        this.box(arrays.end[at], releases[phase], top, 16, colours.sync);
        this.box(releases[phase], arrays.start[at + tiles], top, 16, colours.exchange);
      }
    }
    const sampled = this.report.sampled.includes(tile);
    for (let worker = 0; worker < workers; worker++) {
      const y = top + 22 + worker * WORKER_HEIGHT;
      label(this.pen, `worker ${worker}`, 8, y + 6);
      if (sampled) this.drawRuns(tile, worker, y); else this.drawTurns(tile, worker, y);
    }
    if (!sampled) label(this.pen, "turns of each worker, laid from the start of the superstep: the workers of this tile were not timed",
      this.left, top + 31 + workers * WORKER_HEIGHT);
  }

  drawRuns(tile, worker, y) {
    const runs = this.report.arrays.runs, colour = css("good");
    for (let i = 0; i < runs.length; i += 5) {
      if (runs[i + 1] === tile && runs[i + 2] === worker) {
        this.box(runs[i + 3], runs[i + 3] + this.report.turn * runs[i + 4], y, 12, colour);
      }
    }
  }

  drawTurns(tile, worker, y) {
    const { tiles, computeNames, arrays, workers, turn } = this.report;
    if (!arrays.worker_turns) return;
    this.pen.globalAlpha = 0.55;
    for (let phase = 0; phase < computeNames.length; phase++) {
      const at = phase * tiles + tile, start = arrays.start[at];
      this.box(start, start + turn * arrays.worker_turns[at * workers + worker], y, 12, css("good"));
    }
    this.pen.globalAlpha = 1;
  }

  listen() {
    const canvas = byId("timeline-canvas");
    let drag = null;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.cycle(placeOf(event).x));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      drag = { x: placeOf(event).x, view: [...this.view], moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag) { this.point(placeOf(event)); return; }
      const by = (drag.x - placeOf(event).x) / (this.width - this.left - 8) * (drag.view[1] - drag.view[0]);
      drag.moved ||= Math.abs(drag.x - placeOf(event).x) > 3;
      if (drag.moved) this.setView(drag.view[0] + by, drag.view[1] + by);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (drag && !drag.moved) this.zoomToPhase(this.cycle(placeOf(event).x));
      drag = null;
    });
    canvas.addEventListener("keydown", (event) => {
      const action = {
        ArrowLeft: () => this.move(-0.2), ArrowRight: () => this.move(0.2), Home: () => this.showAll(),
      }[event.key];
      if (action) { event.preventDefault(); action(); }
    });
    byId("zoom-in").onclick = () => this.zoom(0.6);
    byId("zoom-out").onclick = () => this.zoom(1 / 0.6);
    byId("zoom-all").onclick = () => this.showAll();
  }

  zoomToPhase(cycle) {
    const found = this.report.stretches.find((s) => s.start <= cycle && cycle < s.start + s.cycles);
    if (found) this.show(found);
  }

  showAll() { this.setView(0, this.total); }

  // Zoom to the superstep before or after the one in the middle of the view.
  step(by) {
    const { stretches } = this.report, [first, last] = this.view;
    if (last - first >= this.total) { this.show(stretches[by > 0 ? 0 : stretches.length - 1]); return; }
    const middle = (first + last) / 2;
    let at = stretches.findIndex((s) => s.start <= middle && middle < s.start + s.cycles);
    do at += by; while (stretches[at] && !stretches[at].cycles);
    if (stretches[at]) this.show(stretches[at]);
  }

  show(stretch) {
    this.setView(stretch.start - 0.03 * stretch.cycles, stretch.start + 1.03 * stretch.cycles);
  }

  // Says what is under the mouse.
  point({ x, y }) {
    const cycle = Math.floor(this.cycle(x));
    if (x < this.left || cycle < 0 || cycle >= this.report.cycles) return;
    const { tile } = this.selection, worker = Math.floor((y - TILE_TOP - 22) / WORKER_HEIGHT);
    let text = `cycle ${number(cycle)}: ${this.chipAt(cycle)}`;
    if (y >= BANDS_TOP && y < BANDS_TOP + ROWS * BAND) {
      text += `; ${Math.round(100 * Math.floor((y - BANDS_TOP) / BAND) / (ROWS - 1))} % of the tiles are earlier`;
    } else if (worker >= 0 && worker < this.report.workers) text += `; ${this.workerAt(tile, worker, cycle)}`;
    byId("timeline-point").textContent = text;
  }

  chipAt(cycle) {
    const s = this.report.stretches.find((found) => found.start <= cycle && cycle < found.start + found.cycles);
    return s ? `${stepName(s.kind, s.name)}, ${number(s.cycles)} cycles` : "";
  }

  workerAt(tile, worker, cycle) {
    const { runs } = this.report.arrays, { turn, sampled } = this.report;
    if (!sampled.includes(tile)) return `the workers of tile ${tile} were not timed`;
    for (let i = 0; i < runs.length; i += 5) {
      if (runs[i + 1] === tile && runs[i + 2] === worker && runs[i + 3] <= cycle && cycle < runs[i + 3] + turn * runs[i + 4]) {
        return `worker ${worker} of tile ${tile} from ${number(runs[i + 3])}: ${number(runs[i + 4])} turns`;
      }
    }
    return `worker ${worker} of tile ${tile} does not run`;
  }
}
