// Small charts, drawn as SVG. What they show is also said in words, for those who do not see it.

import { draw, make } from "./elements.js";

const WIDTH = 560, HEIGHT = 170, LEFT = 44, BOTTOM = 22, TOP = 8;

function scale(most, format) {
  const top = most > 0 ? most : 1;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const lines = [0, 0.5, 1].map((part) => draw("g", {},
    draw("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(top * part), y2: y(top * part) }),
    draw("text", { x: LEFT - 6, y: y(top * part) + 4, "text-anchor": "end" }, most > 0 || part === 0 ? format(top * part) : "")));
  return { y, lines };
}

function labels(places) {
  const every = Math.ceil(places.length / 6);
  const width = (WIDTH - LEFT) / places.length;
  return places.map(({ label }, at) => at % every === 0
    ? draw("text", { x: LEFT + width * (at + 0.5), y: HEIGHT - 6, "text-anchor": "middle" }, label) : null);
}

function figure(title, keys, words, drawing) {
  return make("figure", {},
    make("figcaption", {}, make("b", {}, title), make("span", {}, keys.map(([kind, label]) => make("span", { class: `key ${kind}` }, label)))),
    draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words }, drawing));
}

// Places are { label, title, parts: [[class, value], …] }.
export function bars(title, keys, words, places, format) {
  const sum = (place) => place.parts.reduce((total, [, value]) => total + value, 0);
  const { y, lines } = scale(Math.max(...places.map(sum), 0), format);
  const width = (WIDTH - LEFT) / places.length;
  const drawn = places.map((place, at) => {
    let from = 0;
    const rectangles = place.parts.filter(([, value]) => value > 0).map(([kind, value]) => {
      const rectangle = draw("rect", {
        class: kind, x: LEFT + width * at + width * 0.12, width: width * 0.76, y: y(from + value), rx: 2,
        height: Math.max(1, y(from) - y(from + value)),
      });
      from += value;
      return rectangle;
    });
    return draw("g", {}, draw("title", {}, place.title), rectangles);
  });
  return figure(title, keys, words, [lines, drawn, labels(places)].flat());
}

// Places are { label, title, values: [[class, value or null], …] }; a line breaks where a value is null.
export function lines(title, keys, words, places, format) {
  const values = places.flatMap((place) => place.values.map(([, value]) => value ?? 0));
  const { y, lines: grid } = scale(Math.max(...values, 0), format);
  const width = (WIDTH - LEFT) / places.length;
  const kinds = places[0]?.values.map(([kind]) => kind) ?? [];
  const drawn = kinds.map((kind, which) => {
    let path = "", open = false;
    const dots = places.map((place, at) => {
      const value = place.values[which][1];
      if (value === null) { open = false; return null; }
      const [cx, cy] = [(LEFT + width * (at + 0.5)).toFixed(1), y(value).toFixed(1)];
      path += `${open ? "L" : "M"}${cx} ${cy}`;
      open = true;
      return draw("circle", { class: kind.replace("l", "f"), cx, cy, r: 2.5 });
    });
    return draw("g", {}, draw("path", { class: kind, d: path }), dots);
  });
  const touch = places.map((place, at) => draw("rect", { x: LEFT + width * at, y: TOP, width, height: HEIGHT - TOP - BOTTOM, fill: "transparent" }, draw("title", {}, place.title)));
  return figure(title, keys, words, [grid, drawn, labels(places), touch].flat());
}
