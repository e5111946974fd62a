// What was sent to each destination in the last hour, as bars.

import { drawing, element, keyed, setAttribute, setForeign, setText } from "./dom.js";
import { count, several } from "./words.js";

const TALL = 24;

/** `minutes` are, by the name of a destination, how many were sent in each; null for what is not known. */
export function showCharts(node, minutes) {
  keyed(node, Object.entries(minutes), ([name]) => name, chart);
}

/** Sixty bars; a minute of which nothing is known is a gap of another kind than one in which nothing was sent. */
function chart() {
  const title = element("bdi");
  const sums = element("span");
  const bars = drawing("svg", { class: "bars", role: "img", viewBox: `0 0 60 ${TALL}`, preserveAspectRatio: "none" });
  const ends = element("p", { class: "ends", "aria-hidden": "true" }, element("span", {}, "an hour ago"), element("span", {}, "now"));
  return {
    node: element("figure", {}, element("figcaption", {}, "Sent per minute to ", title, ": ", sums), bars, ends),
    update([name, minutes]) {
      const known = minutes.filter((sent) => sent !== null);
      const most = Math.max(0, ...known);
      const words = chartInWords(known, most, minutes.length);
      setForeign(title, name);
      setText(sums, words);
      setAttribute(bars, "aria-label", words);
      keyed(bars, minutes.map((sent, place) => ({ sent, place, most })), ({ place }) => place, bar);
    },
  };
}

function chartInWords(known, most, minutes) {
  const sum = known.reduce((total, sent) => total + sent, 0);
  const unknown = minutes - known.length;
  const said = `${count(sum)} in the last hour, at most ${count(most)}`;
  return unknown ? `${said}; ${several(unknown, "minute")} before the agent started not known` : said;
}

function bar() {
  const node = drawing("rect", { width: 0.8 });
  return {
    node,
    update({ sent, place, most }) {
      const high = sent === null ? TALL : sent ? Math.max(1.5, (sent / most) * TALL) : 0.4;
      setAttribute(node, "class", sent === null ? "unknown" : sent ? "sent" : "none");
      setAttribute(node, "x", String(place + 0.1));
      setAttribute(node, "y", (TALL - high).toFixed(2));
      setAttribute(node, "height", high.toFixed(2));
    },
  };
}
