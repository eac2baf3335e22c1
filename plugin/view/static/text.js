// Texts. Whatever comes from a log goes into the page through these as text, never as markup.

const invisible = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

// visible writes characters that cannot be seen, or that change the direction of writing, as escapes:
// a line must look like what it is.
export function visible(text) {
  return text.replace(invisible, (c) => {
    const code = c.charCodeAt(0);
    if (c === "\n") return "\\n";
    if (c === "\r") return "\\r";
    return code < 0x100 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
  });
}

// make returns an element with a class and children: texts and elements.
export function make(tag, className, ...children) {
  const el = document.createElement(tag);
  if (className) el.className = className;
  el.append(...children.filter((c) => c !== null && c !== undefined));
  return el;
}

const digits = new Intl.NumberFormat("en");
export const number = (n) => digits.format(n);
export const plural = (n, one, many) => number(n) + " " + (n === 1 ? one : many);
export const score = (s) => s.toFixed(2);

const two = (n) => String(n).padStart(2, "0");

// clock writes a time of day in the reader's zone.
export function clock(ms, seconds = true) {
  const d = new Date(ms);
  return two(d.getHours()) + ":" + two(d.getMinutes()) + (seconds ? ":" + two(d.getSeconds()) : "");
}

// moment writes date, time and zone.
export function moment(ms) {
  const d = new Date(ms);
  const offset = -d.getTimezoneOffset();
  const zone = (offset < 0 ? "-" : "+") + two(Math.floor(Math.abs(offset) / 60)) + ":" + two(Math.abs(offset) % 60);
  return d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate()) + " " + clock(ms) +
    "." + String(d.getMilliseconds()).padStart(3, "0") + " " + zone;
}

// level is how strongly a score is coloured.
export const level = (s) => (s >= 0.9 ? "high" : s >= 0.7 ? "mid" : "low");
