// The box that scores a line by hand.

import { level, make, score, visible } from "./text.js";
import { post } from "./live.js";

export class Ask {
  constructor() {
    const $ = (id) => document.getElementById(id);
    Object.assign(this, { box: $("ask"), form: $("ask-form"), stream: $("ask-stream"), line: $("ask-line"), go: $("ask-go"), answer: $("ask-answer") });
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.ask();
    });
    this.line.addEventListener("keydown", (e) => {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) this.form.requestSubmit();
    });
  }

  begin(hello) {
    this.box.hidden = !hello.canScore;
    this.names = "";
  }

  // streams notes which services there are. The value is the name: the server may know more than it shows.
  streams(streams) {
    const named = streams.filter((s) => s.id !== 1);
    const names = JSON.stringify(named.map((s) => s.name));
    if (names === this.names || document.activeElement === this.stream) return;
    this.names = names;
    const chosen = this.stream.value;
    this.stream.replaceChildren(...named.map((s) => new Option(visible(s.name), s.name)));
    if (named.some((s) => s.name === chosen)) this.stream.value = chosen;
  }

  async ask() {
    if (!this.form.reportValidity()) return;
    this.go.disabled = true;
    try {
      this.show(await post("score", { stream: this.stream.value, line: this.line.value }));
    } catch (err) {
      this.answer.replaceChildren(make("p", "fault", visible(err.message)));
    } finally {
      this.go.disabled = false;
    }
  }

  show(v) {
    const verdict = make("p", "verdict", make("span", "score " + (v.anomaly ? level(v.score) : "none"), score(v.score)),
      v.anomaly ? " Anomaly: " + v.reason : " Not an anomaly");
    const pairs = make("dl", "pairs");
    for (const [name, text, code] of [["Observed", v.observed], ["Expected", v.expected], ["Template", v.template || "none: nothing like it is known", v.template]]) {
      if (text) pairs.append(make("dt", "", name), make("dd", code ? "code" : "", make("bdi", "", visible(text))));
    }
    this.answer.replaceChildren(verdict, ...(v.explanation ? [make("p", "", make("bdi", "", visible(v.explanation)))] : []), pairs);
  }
}
