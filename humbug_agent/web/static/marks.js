// The shapes of all marks, put into the page once; `marked` in dom.js refers to them by their names.

import { drawing } from "./dom.js";

/** Each in a square of 16 by 16. */
const SHAPES = {
  good: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0Zm3.900 4.300L7 9.200 4.700 6.900 3.300 8.300 7 12l6.300-6.300Z",
  warn: "M8 .5 16 15H0ZM7 6v5h2V6Zm0 6v2h2v-2Z",
  bad: "M4.700 0h6.600L16 4.700v6.600L11.300 16H4.700L0 11.300V4.700ZM7 3v6h2V3Zm0 8v2h2v-2Z",
  lost: "M3.500 1.400 8 5.900l4.500-4.500 2.100 2.100L10.100 8l4.500 4.500-2.100 2.100L8 10.100l-4.500 4.500-2.100-2.100L5.900 8 1.400 3.500Z",
  wait: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0Zm0 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm1 2v3.600l2.500 2.500-1.400 1.400L7 8.400V4Z",
  busy: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Z",
  free: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9Z",
  ringing: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 2.500v9a4.500 4.500 0 0 0 0-9Z",
  dialling: "M1 6.500h3v3H1zm5.500 0h3v3h-3zm5.500 0h3v3h-3z",
  paused: "M2.500 1.500h4v13h-4zm7 0h4v13h-4z",
};

const symbols = Object.entries(SHAPES).map(([name, shape]) =>
  drawing("symbol", { id: `mark-${name}`, viewBox: "0 0 16 16" }, drawing("path", { d: shape })));
document.body.append(drawing("svg", { class: "unseen", "aria-hidden": "true", width: "0", height: "0" }, ...symbols));
