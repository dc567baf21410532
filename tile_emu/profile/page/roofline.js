"use strict";
// Roofs of SRAM, exchange and AMP units on logarithmic axes, and where the run lies below them.
class Roofline {
  constructor(report) {
    this.roof = byId("roof-canvas") ? report.roofline : null;
    this.draw();
  }

  draw() {
    if (!this.roof) return;
    const { draw, width, height } = canvasOf("roof-canvas"), { reached, peak, traffics } = this.roof;
    const left = 54, right = width - 12, top = 10, bottom = height - 34;
    const places = traffics.flatMap((t) => [t.intensity, peak / t.bytes]);
    const x0 = Math.log10(Math.min(...places, 1)) - 0.3, x1 = Math.log10(Math.max(...places, 1)) + 0.5;
    const y0 = Math.log10(Math.min(reached, peak)) - 0.5, y1 = Math.log10(peak) + 0.15;
    this.x = (intensity) => left + (right - left) * (Math.log10(intensity) - x0) / (x1 - x0);
    this.y = (rate) => bottom - (bottom - top) * (Math.log10(rate) - y0) / (y1 - y0);
    this.axes(draw, { left, right, top, bottom, x0, x1, y0, y1 });
    const colours = { SRAM: "compute", exchange: "exchange" };
    for (const { name, intensity, bytes } of traffics) {
      const first = Math.max(10 ** x0, 10 ** y0 / bytes), ridge = peak / bytes;
      draw.strokeStyle = css(colours[name]);
      draw.lineWidth = 2;
      draw.beginPath();
      draw.moveTo(this.x(first), this.y(first * bytes));
      draw.lineTo(this.x(ridge), this.y(peak));
      draw.lineTo(right, this.y(peak));
      draw.stroke();
      draw.lineWidth = 1;
      draw.fillStyle = css(colours[name]);
      draw.beginPath();
      draw.arc(this.x(intensity), this.y(reached), 5, 0, 7);
      draw.fill();
      const far = this.x(intensity) > right - 90;
      label(draw, name, this.x(intensity) + (far ? -9 : 9), this.y(reached) + 1, far ? "right" : "left", "ink");
    }
  }

  // A line for each power of four of the rate, and of ten of the intensity.
  axes(draw, { left, right, top, bottom, x0, x1, y0, y1 }) {
    draw.strokeStyle = css("line");
    draw.beginPath();
    for (let power = Math.ceil(y0 / Math.log10(4)); power * Math.log10(4) <= y1; power++) {
      const rate = 4 ** power;
      draw.moveTo(left, this.y(rate));
      draw.lineTo(right, this.y(rate));
      label(draw, shortNumber(rate), left - 6, this.y(rate), "right");
    }
    for (let power = Math.ceil(x0); power <= x1; power++) {
      draw.moveTo(this.x(10 ** power), top);
      draw.lineTo(this.x(10 ** power), bottom);
      label(draw, shortNumber(10 ** power), this.x(10 ** power), bottom + 10, "center");
    }
    draw.stroke();
    label(draw, "MAC a byte", (left + right) / 2, bottom + 25, "center");
    draw.save();
    draw.translate(10, (top + bottom) / 2);
    draw.rotate(-Math.PI / 2);
    label(draw, "MAC a cycle", 0, 0, "center");
    draw.restore();
  }
}
