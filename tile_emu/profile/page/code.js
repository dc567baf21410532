"use strict";
// Sources with the worker turns spent on every line.
class Source {
  constructor(report) {
    this.report = report;
    if (!report.listing) { byId("source-part").remove(); return; }
    const { files } = report.listing;
    this.totals = this.turnsByLine(-1);
    const order = files.map((_, i) => i).sort((a, b) => this.sumOf(b) - this.sumOf(a));
    this.file = fillSelect("source-file", order.map((i) => [i, files[i]]), order[0]);
    this.phase = fillSelect("source-phase",
      [[-1, "all together"], ...report.computeNames.map((name, i) => [i, `${i}: ${name || "(no vertices)"}`])], -1);
    this.file.onchange = this.phase.onchange = () => this.draw();
    this.draw();
  }

  sumOf(file) { return [...(this.totals[file] || new Map()).values()].reduce((a, b) => a + b.turns, 0); }

  // file -> Map(line -> {turns, supervisor})
  turnsByLine(phase) {
    const { arrays, words, computeNames, listing } = this.report, found = listing.files.map(() => new Map());
    for (let p = 0; p < computeNames.length; p++) {
      if (phase >= 0 && p !== phase) continue;
      arrays.code_word.forEach((word, i) => {
        const at = p * (words + 1) + word;
        const turns = arrays.executions[at] + arrays.extra_turns[at], supervisor = arrays.supervisor_executions[at];
        if (!turns && !supervisor) return;
        const lines = found[arrays.code_file[i]], line = arrays.code_line[i];
        const entry = lines.get(line) || { turns: 0, supervisor: 0 };
        lines.set(line, { turns: entry.turns + turns, supervisor: entry.supervisor + supervisor });
      });
    }
    return found;
  }

  draw() {
    const file = +this.file.value, lines = this.turnsByLine(+this.phase.value)[file];
    const text = this.report.listing.source[file].split("\n");
    const most = Math.max(1, ...[...lines.values()].map((l) => l.turns));
    const rows = text.map((line, i) => this.line(i + 1, line, lines.get(i + 1), most));
    byId("source").replaceChildren(...rows);
    const hottest = [...lines].reduce((a, b) => (b[1].turns > a[1].turns ? b : a), [1, { turns: 0 }])[0];
    byId("source").scrollTop = rows[hottest - 1].offsetTop - byId("source").offsetTop - 120;
    const values = [...lines.values()];
    const turns = values.reduce((a, b) => a + b.turns, 0), supervisor = values.reduce((a, b) => a + b.supervisor, 0);
    byId("source-info").textContent = `${number(turns)} worker turns, ${number(supervisor)} supervisor instructions`;
  }

  line(at, text, counted, most) {
    const row = document.createElement("div"), shown = document.createElement("span");
    const turns = document.createElement("span"), bar = document.createElement("span"), place = document.createElement("span");
    turns.className = "t";
    bar.className = "b";
    place.className = "l";
    place.textContent = at;
    shown.textContent = text;
    if (counted) {
      turns.textContent = counted.turns ? number(counted.turns) : `(${number(counted.supervisor)})`;
      turns.title = counted.turns ? "worker turns" : "supervisor instructions";
      const fill = document.createElement("i");
      fill.style.width = `${100 * counted.turns / most}%`;
      bar.append(fill);
    }
    row.append(turns, bar, place, shown);
    return row;
  }
}
