// What was called, as charts, each with a plain table behind it.

import { body, byId, drawing, element, setAttribute, setText } from "./dom.js";
import { views } from "./views.js";
import { clock, count, visible } from "./words.js";

const EVERY_MS = 60000;
const AGAIN_MS = 5000;
const HIGH = 60;
const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const HISTORY = new URL("history.json", location.origin + location.pathname);

const charts = {
  day: chart("day", ["Time", "Today answered", "Today missed", "A week ago answered", "A week ago missed"]),
  hours: chart("hours", ["Hour", ...DAYS]),
  countries: chart("countries", ["Country", "Calls", "Answered", "Minutes"]),
};
byId("as-of").before(views());
let told = null;

/** The figure with this id: words, a drawing, and a table that is shown to who asks for it. */
function chart(id, heads) {
  const words = element("figcaption");
  const picture = drawing("svg", { role: "img", preserveAspectRatio: "none" });
  const names = element("div", { class: "names", "aria-hidden": "true" });
  const ends = element("p", { class: "ends", "aria-hidden": "true" });
  const rows = body();
  const head = element("tr", { role: "row" }, ...heads.map((one) => element("th", { scope: "col", role: "columnheader" }, one)));
  const table = element("table", { role: "table" }, element("thead", { role: "rowgroup" }, head), rows);
  const more = element("details", {}, element("summary", {}, "As a table"), element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "As a table" }, table));
  byId(id).append(words, element("div", { class: "plot" }, names, picture, ends), more);
  return { words, picture, names, ends, rows };
}

/** `named` are the names of what stands in rows, from the top, and `labels` those of places from the left to the right. */
function show({ words, picture, names, ends, rows }, said, box, shapes, named, labels, lines) {
  setText(words, said);
  setAttribute(picture, "viewBox", box);
  setAttribute(picture, "aria-label", said);
  picture.replaceChildren(...shapes);
  names.replaceChildren(...named.map((name) => element("span", {}, visible(name))));
  ends.replaceChildren(...labels.map((label) => element("span", {}, label)));
  rows.replaceChildren(...lines.map(([name, ...figures]) =>
    element("tr", { role: "row" }, element("th", { scope: "row", role: "rowheader" }, visible(name)),
      ...figures.map((figure) => element("td", { role: "cell", class: "figure" }, figure)))));
}

function rect(kind, x, y, width, height, title = "") {
  const node = drawing("rect", { class: kind, x: x.toFixed(2), y: y.toFixed(2), width: width.toFixed(2), height: Math.max(0, height).toFixed(2) });
  if (title) node.append(drawing("title", {}, title));
  return node;
}

const calls = ({ answered, missed }) => answered + missed;
const sum = (items, of) => items.reduce((all, one) => all + of(one), 0);

function showDay({ today, week_ago: before }) {
  const size = Math.max(today.quarters.length, before.quarters.length);
  const most = Math.max(1, ...today.quarters.map(calls), ...before.quarters.map(calls));
  const high = (number) => (number / most) * HIGH;
  const bars = today.quarters.flatMap((one, place) => {
    const [answered, all] = [high(one.answered), high(calls(one))];
    const said = `${one.time}: ${count(one.answered)} answered, ${count(one.missed)} missed`;
    return [rect("answered", place + 0.1, HIGH - answered, 0.8, answered, said), rect("missed", place + 0.1, HIGH - all, 0.8, all - answered, said)];
  });
  const line = before.quarters.map((one, place) => `${place},${(HIGH - high(calls(one))).toFixed(2)} ${place + 1},${(HIGH - high(calls(one))).toFixed(2)}`);
  const past = drawing("polyline", { class: "before", points: line.join(" ") });
  const so = before.quarters.slice(0, today.quarters.length);
  const said = `${count(sum(today.quarters, (one) => one.answered))} answered and, above them, ${count(sum(today.quarters, (one) => one.missed))} missed today (bars), `
    + `${count(sum(so, (one) => one.answered))} and ${count(sum(so, (one) => one.missed))} until the same time a week ago (line: ${before.date}); at most ${count(most)} in a quarter of an hour`;
  const lines = Array.from({ length: size }, (_, place) => {
    const [now, then] = [today.quarters[place], before.quarters[place]];
    const figures = [now?.answered, now?.missed, then?.answered, then?.missed];
    return [(then ?? now).time, ...figures.map((figure) => (figure === undefined ? "" : count(figure)))];
  });
  show(charts.day, said, `0 0 ${size} ${HIGH}`, [...bars, past], [], ["00:00", "06:00", "12:00", "18:00", "24:00"], lines);
}

/** Darker is more; the table has the numbers, and so has each square. */
function showHours({ hours, weeks }) {
  const most = Math.max(1, ...hours.flat());
  const squares = hours.flatMap((day, row) => day.map((number, hour) => {
    const node = rect("hour", hour + 0.03, row + 0.06, 0.94, 0.88, `${DAYS[row]} ${hour}:00 to ${hour + 1}:00: ${count(number)}`);
    setAttribute(node, "fill-opacity", (number ? 0.12 + 0.88 * (number / most) : 0.03).toFixed(3));
    return node;
  }));
  const all = hours.map((day) => sum(day, (number) => number));
  const busiest = hours.flatMap((day, row) => day.map((number, hour) => ({ number, row, hour }))).reduce((one, other) => (other.number > one.number ? other : one));
  const said = sum(all, (number) => number)
    ? `Calls of the last ${weeks} weeks; most on ${DAYS[busiest.row]}s at ${busiest.hour}:00, ${count(busiest.number)} in all`
    : `No calls in the last ${weeks} weeks`;
  const lines = Array.from({ length: 24 }, (_, hour) => [`${hour}:00`, ...hours.map((day) => count(day[hour]))]);
  show(charts.hours, said, "0 0 24 7", squares, DAYS.map((day) => day.slice(0, 3)), ["0:00", "6:00", "12:00", "18:00", "24:00"], lines);
}

function showCountries({ countries, weeks }) {
  const most = Math.max(1, ...countries.map((one) => one.minutes));
  const bars = countries.map((one, place) =>
    rect("answered", 0, place + 0.15, (one.minutes / most) * 100, 0.7, `${visible(one.country) || "not known"}: ${count(one.minutes)} minutes`));
  const first = countries[0];
  const said = first
    ? `Minutes of the last ${weeks} weeks, ${visible(first.country) || "not known"} first with ${count(first.minutes)}`
    : `No call to an outside number in the last ${weeks} weeks`;
  const lines = countries.map((one) => [one.country || "not known", count(one.calls), count(one.answered), count(one.minutes)]);
  show(charts.countries, said, `0 0 100 ${Math.max(1, countries.length)}`, bars, lines.map(([name]) => name), [], lines);
}

async function ask() {
  let wait = EVERY_MS;
  try {
    const response = await fetch(HISTORY, { cache: "no-store", signal: AbortSignal.timeout(AGAIN_MS * 2) });
    if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`.trim());
    told = await response.json();
    showDay(told);
    showHours(told);
    showCountries(told);
    say("good", `As it was at ${clock(told.now)}`);
  } catch (error) {
    wait = AGAIN_MS;
    const why = error instanceof TypeError ? "it can't be reached" : error.name === "TimeoutError" ? "it does not answer" : error.message;
    say("lost", `No news from the agent: ${why}. ${told ? `What is shown is of ${clock(told.now)}.` : ""}`);
  }
  setTimeout(ask, wait);
}

function say(kind, text) {
  setAttribute(byId("top"), "data-kind", kind);
  setText(byId("as-of"), text);
}

ask();
