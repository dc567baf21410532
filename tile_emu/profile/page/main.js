"use strict";
// What the page can show: one run, or the layers of a network of which one is shown at a time.
class Pages {
  constructor(entries) {
    this.entries = entries;
    this.several = byId("chooser") !== null;
    this.contents = new Map();
    this.view = null;
    if (this.several) this.prepareChooser();
    window.addEventListener("resize", () => this.view?.redraw());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.view?.redraw());
    window.addEventListener("hashchange", () => this.show(this.fromHash()));
  }

  prepareChooser() {
    const shown = this.entries.filter((entry) => entry.block !== null);
    this.select = fillSelect("layer", shown.map((entry) => [entry.name, entry.name]), "");
    this.select.onchange = () => this.choose(this.select.value);
    byId("layer-before").onclick = () => this.step(-1);
    byId("layer-after").onclick = () => this.step(1);
    for (const place of document.querySelectorAll("[data-layer]")) {
      if (shown.some((entry) => entry.name === place.dataset.layer)) {
        pressable(place, () => this.choose(place.dataset.layer).then(() => byId("chooser").scrollIntoView()));
      } else {
        place.removeAttribute("tabindex");
        place.classList.remove("go");
      }
    }
    for (const head of document.querySelectorAll("#layers th")) sortBy(head);
  }

  // The layer that the address asks for, else the first that can be shown.
  fromHash() {
    const wanted = decodeURIComponent(location.hash).replace(/^#layer=/, "");
    const known = this.entries.filter((entry) => entry.block !== null);
    return known.find((entry) => entry.name === wanted) || (this.entry?.block !== undefined ? this.entry : known[0]);
  }

  async choose(name) {
    history.replaceState(null, "", `#layer=${encodeURIComponent(name)}`);
    await this.show(this.entries.find((entry) => entry.name === name));
  }

  async step(by) {
    const shown = this.entries.filter((entry) => entry.block !== null);
    const at = shown.indexOf(this.entry) + by;
    if (at >= 0 && at < shown.length) await this.choose(shown[at].name);
  }

  async show(entry) {
    if (!entry || entry === this.entry) return;
    this.entry = entry;
    if (!this.contents.has(entry.block)) this.contents.set(entry.block, await unpackBlock(byId(`block-${entry.block}`)));
    if (this.entry !== entry) return;  // another one was chosen meanwhile
    const counter = this.view?.tiles.chosen().label;
    this.view = new LayerView(this.contents.get(entry.block));
    if (counter) this.view.tiles.choose(counter);
    if (!this.several) return;
    this.select.value = entry.name;
    byId("layer-note").textContent = entry.note;
    for (const place of document.querySelectorAll("[data-layer]")) {
      place.classList.toggle("chosen", place.dataset.layer === entry.name);
    }
  }
}

// Sort a table by a column when its head is clicked; numbers by value, again in the other direction.
function sortBy(head) {
  const column = head.cellIndex, body = head.closest("table").tBodies[0];
  const value = (row) => {
    const { textContent } = row.cells[column], found = parseFloat(textContent.replaceAll(",", ""));
    return Number.isNaN(found) ? textContent : found;
  };
  pressable(head, () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
  });
}

async function start() {
  const pages = new Pages(JSON.parse(byId("index").textContent));
  new Keys(pages);
  await pages.show(pages.fromHash());
  document.documentElement.dataset.ready = "yes";
}

start().catch((problem) => {
  byId("failure").textContent = `This page cannot be shown by this browser: ${problem.message}`;
  throw problem;
});
