"use strict";
// Small helpers shared by all parts: colours of the page, canvases that stay sharp, numbers, axes.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const byId = (id) => document.getElementById(id);
const number = (value) => Math.round(value).toLocaleString("en-US");
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

// Context of a canvas, cleared, in CSS pixels; width and height beside it.
function canvasOf(id) {
  const canvas = byId(id);
  const width = canvas.clientWidth, height = canvas.clientHeight, scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const draw = canvas.getContext("2d");
  draw.scale(scale, scale);
  draw.clearRect(0, 0, width, height);
  draw.font = "12px system-ui, sans-serif";
  draw.textBaseline = "middle";
  return { canvas, draw, width, height };
}

function label(draw, text, x, y, align = "left", colour = "soft") {
  draw.fillStyle = css(colour);
  draw.textAlign = align;
  draw.fillText(text, x, y);
}

// Steps of 1, 2 or 5 times a power of ten, so that some `count` of them cover a range.
function niceStep(range, count) {
  const raw = range / Math.max(1, count), power = 10 ** Math.floor(Math.log10(raw || 1));
  return power * [1, 2, 5, 10].find((m) => m * power >= raw);
}

function shortNumber(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(4)} G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)} M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)} k`;
  return `${+value.toPrecision(4)}`;
}

// Horizontal axis of cycles below y; returns nothing.
function cycleAxis(draw, x, first, last, left, right, y) {
  const step = niceStep(last - first, (right - left) / 110);
  draw.strokeStyle = css("line");
  draw.beginPath();
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    draw.moveTo(x(at), 0);
    draw.lineTo(x(at), y);
    const half = draw.measureText(number(at)).width / 2;
    label(draw, number(at), Math.min(x(at), right + 8 - half), y + 9, "center");
  }
  draw.stroke();
}

// Vertical axis with its lines, at round numbers of `unit`.
function valueAxis(draw, top, bottom, left, right, most, format = shortNumber, unit = 1) {
  if (!(most > 0)) return;
  const step = unit * niceStep(most / unit, 4);
  draw.strokeStyle = css("line");
  draw.beginPath();
  for (let value = 0; value <= most * 1.0001; value += step) {
    const y = bottom - (bottom - top) * value / most;
    draw.moveTo(left, y);
    draw.lineTo(right, y);
    label(draw, format(value), left - 6, y, "right");
  }
  draw.stroke();
}

// Colour of a share 0..1 on a scale that is read in light and in dark mode.
const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function heat(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (STOPS.length - 1), i = Math.floor(at), part = at - i;
  const mix = STOPS[i].map((low, k) => Math.round(low + part * (STOPS[i + 1][k] - low)));
  return `rgb(${mix.join(",")})`;
}

function fillSelect(id, entries, chosen) {
  const select = byId(id);
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, String(value) === String(chosen))));
  return select;
}

// Place of the mouse in a canvas, in CSS pixels.
function placeOf(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

// Something that is not a button but acts as one: by mouse, and by Enter or space.
function pressable(element, action) {
  element.tabIndex = 0;
  element.onclick = action;
  element.onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  };
}

// What a superstep's part is called; a name that says its kind itself stands alone.
const stepName = (kind, name) => (name.startsWith(kind) ? name : `${kind} ${name || "(no vertices)"}`);
