// Elements out of plain values. Text is only ever set as text: nothing that people or bots wrote becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const pill = (kind, text) => make("span", { class: `pill ${kind}` }, text);
export const code = (text) => make("code", {}, text);

// Columns are [label, cell of a row, class]. On a phone each cell shows its column's label.
export function table(caption, columns, rows, none) {
  if (rows.length === 0) return make("p", { class: "empty" }, none);
  const head = columns.map(([label, , kind]) => make("th", { scope: "col", class: kind }, label || "Actions"));
  const body = rows.map((row) => make("tr", {}, columns.map(([label, cell, kind]) => make("td", { class: kind, "data-label": label }, cell(row)))));
  return make("div", { class: "table", role: "region", "aria-label": caption, tabindex: "0" },
    make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)));
}

export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1).replace(/\.0$/, "")} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

// The host's clock counts, not the browser's.
let ahead = 0;
export const setClock = (now) => { ahead = now - Date.now(); };
export const now = () => Date.now() + ahead;

export function ago(time) {
  const date = new Date(time);
  const passed = now() - time;
  const words = passed < 0 ? `in ${duration(-passed)}` : passed < 10000 ? "just now" : `${duration(passed)} ago`;
  return make("time", { datetime: date.toISOString(), title: moments.format(date) }, words);
}

export const moment = (time) => make("time", { datetime: new Date(time).toISOString() }, moments.format(new Date(time)));
export const day = (time) => make("time", { datetime: new Date(time).toISOString().slice(0, 10) }, days.format(new Date(time)));

export function dollars(cost) {
  if (cost === null || cost === undefined) return "–";
  if (cost === 0) return "$0";
  return cost < 0.01 ? `$${cost.toPrecision(2)}` : `$${cost.toFixed(2)}`;
}

export const count = (number) => number.toLocaleString("en-US");
