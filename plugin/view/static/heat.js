// The heatmap, its readout and its table.

import { clock, make, number, plural } from "./text.js";

const left = 34, bottom = 18, top = 4, rowHeight = 15, cellLeast = 4;
const tableSeconds = 300;

export class Heat {
  constructor(hello) {
    this.box = document.getElementById("heat");
    this.canvas = document.getElementById("canvas");
    this.readout = document.getElementById("readout");
    this.tableBox = document.getElementById("table-box");
    this.table = document.getElementById("table");
    this.cursor = null; // [group, row]
    this.begin(hello);
    new ResizeObserver(() => this.draw()).observe(this.box);
    document.addEventListener("theme", () => this.draw());
    this.box.addEventListener("pointermove", (e) => this.point(e));
    this.box.addEventListener("pointerleave", () => this.moveTo(null));
    this.box.addEventListener("keydown", (e) => this.key(e));
    this.box.addEventListener("focus", () => this.readout.setAttribute("aria-live", "polite"));
    this.box.addEventListener("blur", () => {
      this.readout.removeAttribute("aria-live");
      this.moveTo(null);
    });
    this.tableBox.addEventListener("toggle", () => this.fillTable());
  }

  begin(hello) {
    this.seconds = hello.columnSeconds;
    this.count = hello.columns;
    this.rows = hello.rows;
    this.warmFrom = Math.floor(hello.threshold * hello.rows + 1e-9);
    this.columns = new Map(); // by number: [number, anomalies, records...]
    this.now = 0;
  }

  // take notes what a frame says of the columns.
  take(frame) {
    if (frame.whole) this.columns.clear();
    for (const column of frame.columns || []) this.columns.set(column[0], column);
    this.now = Math.floor(frame.now / 1000 / this.seconds);
    for (const at of this.columns.keys()) if (at <= this.now - this.count) this.columns.delete(at);
  }

  // groups adds up columns so that a cell is wide enough to see. It returns them by number.
  groups() {
    const width = this.box.clientWidth - left;
    this.per = Math.max(1, Math.ceil((cellLeast * this.count) / Math.max(width, 1)));
    this.newest = Math.floor(this.now / this.per);
    this.shown = Math.ceil(this.count / this.per);
    this.cell = width / this.shown;
    const groups = new Map();
    for (const column of this.columns.values()) {
      const at = Math.floor(column[0] / this.per);
      const sum = groups.get(at);
      if (!sum) groups.set(at, column.slice());
      else for (let i = 1; i < column.length; i++) sum[i] += column[i];
    }
    return groups;
  }

  draw() {
    const width = this.box.clientWidth, height = top + this.rows * rowHeight + bottom;
    if (!width || !this.now) return;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(this.box);
    const color = (name) => style.getPropertyValue(name).trim();
    const g = this.canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const groups = (this.last = this.groups());
    this.drawGround(g, color, width);
    let most = 1;
    for (const sum of groups.values()) for (let r = 0; r < this.rows; r++) most = Math.max(most, sum[2 + r]);
    for (const [at, sum] of groups) {
      const x = left + (at - (this.newest - this.shown + 1)) * this.cell;
      if (x < left - 0.5) continue;
      for (let r = 0; r < this.rows; r++) {
        if (!sum[2 + r]) continue;
        const warm = r >= this.warmFrom;
        // Counts differ by orders of magnitude. One record over the threshold must be seen at once.
        const share = Math.log1p(sum[2 + r]) / Math.log1p(warm ? Math.min(most, 20) : most);
        g.globalAlpha = warm ? 0.55 + 0.45 * Math.min(share, 1) : 0.12 + 0.88 * share;
        g.fillStyle = color(warm ? "--warm" : "--cool");
        g.fillRect(x, this.y(r), Math.max(this.cell - 1, 1), rowHeight - 1);
      }
    }
    g.globalAlpha = 1;
    this.drawCursor(g, color);
  }

  y(row) {
    return top + (this.rows - 1 - row) * rowHeight;
  }

  // drawGround draws axes and the threshold.
  drawGround(g, color, width) {
    g.fillStyle = color("--ground");
    g.fillRect(left, top, width - left, this.rows * rowHeight - 1);
    g.fillStyle = color("--muted");
    g.font = "11px " + color("--sans");
    g.textBaseline = "middle";
    g.textAlign = "right";
    for (const r of new Set([0, this.warmFrom, this.rows - 1])) {
      if (r < this.rows) g.fillText((r / this.rows).toFixed(1), left - 6, this.y(r) + rowHeight / 2);
    }
    const minutes = width < 520 ? 20 : 10;
    const first = (this.newest - this.shown + 1) * this.per * this.seconds;
    g.textAlign = "center";
    for (let t = Math.ceil(first / 60 / minutes) * minutes * 60; t <= this.now * this.seconds; t += minutes * 60) {
      const x = left + ((t - first) / this.per / this.seconds) * this.cell;
      if (x < left + 16 || x > width - 16) continue;
      g.fillText(clock(t * 1000, false), x, top + this.rows * rowHeight + bottom / 2 + 1);
      g.fillRect(x, top + this.rows * rowHeight - 1, 1, 3);
    }
    if (this.warmFrom > 0 && this.warmFrom < this.rows) {
      g.fillStyle = color("--edge");
      const y = this.y(this.warmFrom - 1) - 1;
      for (let x = left; x < width; x += 6) g.fillRect(x, y, 3, 1);
    }
  }

  drawCursor(g, color) {
    if (!this.cursor) return;
    const [at, row] = this.cursor;
    const x = left + (at - (this.newest - this.shown + 1)) * this.cell;
    if (x < left - 0.5) return;
    g.strokeStyle = color("--text");
    g.lineWidth = 1.5;
    g.strokeRect(x - 0.5, this.y(row) - 0.5, Math.max(this.cell, 2), rowHeight);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - left) / this.cell);
    const row = this.rows - 1 - Math.floor((event.clientY - box.top - top) / rowHeight);
    const inside = column >= 0 && column < this.shown && row >= 0 && row < this.rows;
    this.moveTo(inside ? [this.newest - this.shown + 1 + column, row] : null);
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.key === "Escape") return this.moveTo(null);
    if (!step || !this.shown) return;
    event.preventDefault();
    const [at, row] = this.cursor || [this.newest + 1, this.warmFrom];
    const oldest = this.newest - this.shown + 1;
    this.moveTo([
      Math.min(Math.max(at + step[0], oldest), this.newest), Math.min(Math.max(row + step[1], 0), this.rows - 1),
    ]);
  }

  moveTo(cursor) {
    if (String(cursor) === String(this.cursor)) return;
    this.cursor = cursor;
    if (cursor) this.read(cursor);
    else this.readout.textContent = "Point at a cell, or use the arrow keys, to read it.";
    this.draw();
  }

  read([at, row]) {
    const sum = (this.last && this.last.get(at)) || [];
    const from = at * this.per * this.seconds * 1000, to = from + this.per * this.seconds * 1000;
    const band = (row / this.rows).toFixed(1) + "–" + ((row + 1) / this.rows).toFixed(1);
    this.readout.textContent = clock(from) + "–" + clock(to) + ", score " + band + ": " +
      plural(sum[2 + row] || 0, "record", "records") + ". Anomalies in this time: " + number(sum[1] || 0) + ".";
  }

  // fillTable writes the table while it is open.
  fillTable() {
    if (!this.tableBox.open) return;
    const sums = new Map();
    for (const column of this.columns.values()) {
      const at = Math.floor((column[0] * this.seconds) / tableSeconds);
      const sum = sums.get(at) || { records: 0, over: 0, highest: 0, anomalies: 0 };
      sums.set(at, sum);
      sum.anomalies += column[1];
      for (let r = 0; r < this.rows; r++) {
        const n = column[2 + r];
        sum.records += n;
        if (n && r >= this.warmFrom) sum.over += n;
        if (n) sum.highest = Math.max(sum.highest, r);
      }
    }
    const lines = [...sums.keys()].sort((a, b) => b - a).map((at) => {
      const sum = sums.get(at);
      const head = make("th", "", clock(at * tableSeconds * 1000, false) + "–" + clock((at + 1) * tableSeconds * 1000, false));
      head.scope = "row";
      const band = (sum.highest / this.rows).toFixed(1) + "–" + ((sum.highest + 1) / this.rows).toFixed(1);
      return make("tr", "", head, ...[number(sum.records), number(sum.over), band, number(sum.anomalies)].map((t) => make("td", "", t)));
    });
    this.table.replaceChildren(...lines);
  }
}
