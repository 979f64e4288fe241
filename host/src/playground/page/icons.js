// Icons, drawn: no font has them everywhere.

import { draw } from "./elements.js";

const PATHS = {
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 3.500-6 8-6 1.500 0 2.900.2 4 .7M19 15v6M16 18h6",
  send: "M4 12l16-8-6 16-3-6.500zM11 13.500L20 4",
  clip: "M20 11.500l-8.300 8.300a5.200 5.200 0 0 1-7.400-7.400l8.600-8.600a3.500 3.500 0 0 1 5 5l-8.500 8.500a1.700 1.700 0 0 1-2.500-2.500l7.800-7.700",
  smile: "M11 4.100a8 8 0 1 0 8.900 8.900M9 10v1M14 10v1M8.500 14.500c1.700 2 5.300 2 7 0M19 2v6M16 5h6",
  pencil: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
  bin: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  turn: "M3 12h4l3-8 4 16 3-8h4",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  sound: "M4 10v4h4l5 4V6L8 10zM16 9c1.500 1.500 1.500 4.500 0 6M18.500 6.500c3 3 3 8 0 11",
  server: "M4 5h16v6H4zM4 13h16v6H4zM7 8h.1M7 16h.1M11 8h6M11 16h6",
  keys: "M3 7h18v10H3zM6.500 10h.1M10 10h.1M14 10h.1M17.500 10h.1M7 14h10",
};

export const icon = (name) =>
  draw("svg", { viewBox: "0 0 24 24", class: "glyph", "aria-hidden": "true", focusable: "false" }, draw("path", { d: PATHS[name] }));
