// The anomalies: list, filters, details.

import { clock, level, make, moment, number, plural, score, visible } from "./text.js";
import { post } from "./live.js";

const linesMax = 250; // rows in the page at once; a filter finds the others
const burst = 20, burstMs = 300; // more new ones than that are drawn at that pace

export class List {
  constructor(hello, watch) {
    this.watch = watch;
    const $ = (id) => document.getElementById(id);
    Object.assign(this, {
      list: $("list"), empty: $("empty"), shown: $("shown"), lost: $("lost"), stream: $("by-stream"),
      reason: $("by-reason"), least: $("by-score"), leastText: $("by-score-text"), text: $("by-text"), form: $("filters"),
    });
    this.begin(hello);
    this.form.addEventListener("submit", (e) => e.preventDefault());
    this.form.addEventListener("input", () => this.filter());
    this.form.addEventListener("reset", () => setTimeout(() => this.filter()));
  }

  begin(hello) {
    this.hello = hello;
    this.items = []; // newest first
    this.pending = [];
    this.names = "";
    // The ids of streams are the server's, and it may be another one now: the name stays.
    this.wish = this.stream.selectedOptions[0]?.dataset.name;
    this.stream.value = "0";
    this.least.min = this.least.defaultValue = hello.threshold;
    if (Number(this.least.value) < hello.threshold) this.least.value = hello.threshold;
    if (this.reason.options.length === 1) {
      for (const reason of hello.reasons) this.reason.add(new Option(reason, reason));
    }
    this.render();
  }

  // streams notes which services there are. An open box is left alone.
  streams(streams) {
    const names = JSON.stringify(streams.map((s) => [s.id, s.anomalies]));
    if (names === this.names || document.activeElement === this.stream) return;
    this.names = names;
    const chosen = this.stream.value;
    const options = streams.map((s) => {
      const option = new Option(visible(s.name) + (s.anomalies ? " (" + number(s.anomalies) + ")" : ""), s.id);
      option.dataset.name = s.name;
      return option;
    });
    this.stream.replaceChildren(new Option("All services", "0"), ...options);
    const wished = streams.find((s) => s.name === this.wish);
    this.stream.value = wished ? wished.id : chosen;
    if (wished) this.wish = undefined;
    if (this.stream.selectedIndex < 0) this.stream.value = "0";
    if (this.stream.value !== chosen) this.filter();
  }

  // take notes what a frame brings. It returns how many of it the filters show, and the highest.
  take(frame) {
    if (frame.lost) {
      this.lost.hidden = false;
      this.lost.textContent = plural(frame.lost, "anomaly", "anomalies") + " came faster than this browser could take them.";
    }
    let matching = 0, highest = null;
    for (const a of frame.new || []) {
      const item = { a, el: null, text: [a.template, a.templateId, a.line, a.explanation, a.session].join("\n").toLowerCase() };
      this.pending.push(item);
      if (!this.matches(item)) continue;
      matching++;
      if (!highest || a.score > highest.score) highest = a;
    }
    // Nothing is drawn while the page is paused or out of sight: what would be dropped then is dropped now.
    if (this.pending.length > 2 * this.hello.keep) this.pending = this.pending.slice(-this.hello.keep);
    return { matching, highest };
  }

  // flush shows what came. A flood is shown at a slower pace.
  flush(now) {
    if (!this.pending.length || (this.pending.length > burst && now - (this.flushed || 0) < burstMs)) return;
    this.flushed = now;
    const fresh = this.pending.slice(-this.hello.keep).reverse();
    this.pending = [];
    this.items.unshift(...fresh);
    for (const item of this.items.splice(this.hello.keep)) if (item.el) item.el.remove();
    const rows = fresh.filter((item) => this.matches(item)).slice(0, linesMax).map((item) => this.row(item));
    this.list.prepend(...rows);
    while (this.list.children.length > linesMax) this.list.lastElementChild.remove();
    this.say();
  }

  matches({ a, text }) {
    const { stream, reason, least, words } = this.wanted || this.readWanted();
    return (stream === 0 || a.grid === stream) && (!reason || a.reason === reason) && a.score >= least && words.every((w) => text.includes(w));
  }

  readWanted() {
    this.wanted = {
      stream: Number(this.stream.value), reason: this.reason.value, least: Number(this.least.value) - 1e-9,
      words: this.text.value.toLowerCase().split(/\s+/).filter(Boolean),
    };
    return this.wanted;
  }

  filter() {
    this.readWanted();
    this.leastText.textContent = score(Number(this.least.value));
    this.watch(this.wanted.stream, this.stream.selectedOptions[0]);
    this.render();
  }

  // render shows anew what the filters let pass.
  render() {
    this.readWanted();
    const rows = this.items.filter((item) => this.matches(item)).slice(0, linesMax).map((item) => this.row(item));
    this.list.replaceChildren(...rows);
    this.say();
  }

  // say writes how many there are.
  say() {
    const all = this.items.length;
    const matching = this.items.reduce((n, item) => n + (this.matches(item) ? 1 : 0), 0);
    this.shown.textContent = all === 0 ? "" : matching === all ? "the last " + number(all) : number(matching) + " of the last " + number(all);
    this.empty.hidden = matching > 0;
    this.empty.textContent = all === 0 ? "No anomalies yet." : "None of the last " + number(all) + " passes these filters.";
  }

  row(item) {
    if (item.el) return item.el;
    const a = item.a;
    const time = make("time", "at", clock(a.time || a.arrived));
    time.dateTime = new Date(a.time || a.arrived).toISOString();
    const head = make("button", "open",
      time, make("span", "score " + level(a.score), make("span", "hidden", "score "), score(a.score)),
      make("span", "reason", a.event && a.event !== a.reason ? a.reason + " · " + a.event.replace("_", " ") : a.reason),
      make("bdi", "stream", visible(a.stream)),
      make("bdi", "why", visible(a.explanation || "no explanation")));
    head.type = "button";
    head.setAttribute("aria-expanded", "false");
    item.el = make("li", "anomaly " + level(a.score), head);
    if (a.line) item.el.append(make("code", "line", make("bdi", "", visible(a.line))));
    head.addEventListener("click", () => this.toggle(item, head));
    return item.el;
  }

  toggle(item, head) {
    const open = head.getAttribute("aria-expanded") !== "true";
    head.setAttribute("aria-expanded", String(open));
    item.el.classList.toggle("is-open", open);
    if (open && !item.details) {
      item.details = this.details(item);
      item.details.id = "details-" + item.a.id;
      head.setAttribute("aria-controls", item.details.id);
      item.el.append(item.details);
    }
    if (item.details) item.details.hidden = !open;
  }

  details(item) {
    const a = item.a;
    const pairs = make("dl", "pairs");
    const add = (name, text, code) => {
      if (text) pairs.append(make("dt", "", name), make("dd", code ? "code" : "", make("bdi", "", visible(text))));
    };
    add("Observed", a.observed);
    add("Expected", a.expected);
    if (a.times > 1) add("Found", number(a.times) + " times since " + moment(a.first));
    add("Template", a.template, true);
    add("Template id", a.templateId, true);
    add("Session", a.session, true);
    add("Record's time", a.time ? moment(a.time) : "none");
    add("Scored", moment(a.arrived));
    if (a.cut) add("Not shown", plural(a.cut, "more byte", "more bytes") + " of the line");
    const said = make("p", "said quiet");
    said.setAttribute("role", "status");
    const buttons = make("div", "buttons");
    if (a.templateId) {
      buttons.append(this.button("Only this template", () => {
        this.text.value = a.templateId;
        this.filter();
        this.text.focus();
      }));
    }
    if (a.line) buttons.append(this.button("Copy line", () => this.copy(a.line, said)));
    if (this.hello.canTeach && a.templateId) buttons.append(this.button("Mark as normal", (button) => this.teach(item, button, said)));
    return make("div", "details", pairs, buttons, said);
  }

  button(text, act) {
    const el = make("button", "", text);
    el.type = "button";
    el.addEventListener("click", () => act(el));
    return el;
  }

  async copy(text, said) {
    try {
      await navigator.clipboard.writeText(visible(text)); // it may be pasted into a terminal
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not allow copying here: select the line and copy it.";
    }
  }

  async teach(item, button, said) {
    button.disabled = true;
    try {
      const answer = await post("feedback", { id: item.a.id });
      said.textContent = visible(answer.said || "Marked as normal.");
      item.el.classList.add("is-normal");
      button.textContent = "Marked as normal";
    } catch (err) {
      said.textContent = visible(err.message);
      button.disabled = false;
    }
  }
}
