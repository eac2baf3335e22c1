// Puts the parts of the page together.

import { Ask } from "./ask.js";
import { Heat } from "./heat.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { number, plural, score, visible } from "./text.js";

const $ = (id) => document.getElementById(id);
const sayEveryMs = 15000; // a screen reader is told of new anomalies at most so often
const rateOverMs = 5000;

const ask = new Ask();
let heat = null, list = null, live = null;
let paused = false, dirty = false, held = 0;
const rates = []; // [ms, records]
const news = { count: 0, highest: null, said: -sayEveryMs };

function begin(hello) {
  $("threshold").textContent = score(hello.threshold);
  ask.begin(hello);
  if (heat) {
    heat.begin(hello);
    list.begin(hello);
    $("heat-of").textContent = "all services";
  } else {
    heat = new Heat(hello);
    list = new List(hello, watch);
  }
  rates.length = 0;
}

function watch(id, option) {
  $("heat-of").textContent = id === 0 ? "all services" : visible(option.dataset.name);
  live.watch(id);
}

function onFrame(frame) {
  if (frame.hello) begin(frame.hello);
  heat.take(frame);
  const { matching, highest } = list.take(frame);
  if (frame.streams) {
    list.streams(frame.streams);
    ask.streams(frame.streams);
  }
  figures(frame);
  if (!frame.hello && matching) note(matching, highest);
  dirty = true;
}

function figures(frame) {
  rates.push([frame.now, frame.records]);
  while (rates.length > 2 && rates[0][0] < frame.now - rateOverMs) rates.shift();
  const [since, before] = rates[0];
  const seconds = (frame.now - since) / 1000;
  $("rate").textContent = seconds >= 1 ? number(Math.round((frame.records - before) / seconds)) : "–";
  $("records").textContent = number(frame.records);
  $("flagged").textContent = number(frame.anomalies);
}

// note counts what is new for those who cannot see it come.
function note(matching, highest) {
  news.count += matching;
  if (highest && (!news.highest || highest.score > news.highest.score)) news.highest = highest;
  if (paused) {
    held += matching;
    $("pause").textContent = "Resume, " + number(held) + " new";
  }
  if (document.hidden) document.title = "(" + number(news.count) + ") logscope live view";
}

function announce() {
  const now = performance.now();
  if (!news.count || paused || document.hidden || now - news.said < sayEveryMs) return;
  $("status").textContent = plural(news.count, "new anomaly", "new anomalies") + ", highest score " + score(news.highest.score) +
    " in " + visible(news.highest.stream) + ".";
  Object.assign(news, { count: 0, highest: null, said: now });
}

function onState(state, text) {
  const link = $("link");
  if (link.dataset.state !== state && link.dataset.state !== undefined && state !== "live") $("status").textContent = text;
  link.dataset.state = state;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
}

function paint(now) {
  requestAnimationFrame(paint);
  if (!dirty || paused || !heat) return;
  dirty = list.pending.length > 0;
  heat.draw();
  list.flush(now);
  if (list.pending.length === 0) dirty = false;
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  held = 0;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Resume" : "Pause";
  document.body.classList.toggle("is-paused", paused);
  dirty = true;
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.title = "logscope live view";
});
setInterval(announce, 1000);
setInterval(() => heat && !paused && heat.fillTable(), 5000);
live = new Live(onFrame, onState);
requestAnimationFrame(paint);
