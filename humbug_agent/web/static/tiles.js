// The big numbers, and what they say of queues.

import { byId, element, marked, setAttribute, setText } from "./dom.js";
import { SAID, alarmsOf, worst } from "./thresholds.js";
import { UNKNOWN, bigCount, count, duration, several } from "./words.js";

const LONG = 6;
const LONGEST = 8;
const ALARMING = { waiting: "waiting", longest: "wait", level: "level" };

/** `wanted` are [id, label] or, where a tile leads to a part of the page, [id, label, target]. */
export function makeTiles(wanted) {
  const tiles = new Map(wanted.map(([id, label, target]) => [id, tile(id, label, target)]));
  byId("tiles").append(...[...tiles.values()].map((one) => one.node));
  return tiles;
}

/** A kind of warn or bad has a mark before its words. */
function tile(id, label, target) {
  const value = element("span", { class: "value" }, UNKNOWN);
  const note = marked();
  const parts = [element("span", { class: "label" }, label), value, element("span", { class: "note" }, note.node)];
  return {
    node: element("li", { id: `tile-${id}` }, target ? element("a", { href: target }, ...parts) : element("div", {}, ...parts)),
    update(text, remark, kind) {
      setText(value, text);
      note.update(kind, remark);
      setAttribute(value, "data-long", text.length >= LONGEST ? "longest" : text.length >= LONG ? "long" : "short");
      setAttribute(value, "data-kind", kind);
    },
  };
}

export const QUEUE_TILES = [
  ["waiting", "Waiting"], ["longest", "Longest wait"], ["answered", "Answered"],
  ["abandoned", "Abandoned"], ["level", "Service level"], ["free", "Agents free"],
  ["trunks", "Trunks up"],
];

export function showNothing(tiles, ids, why) {
  for (const id of ids) tiles.get(id).update(UNKNOWN, why, "none");
}

/** `queues` and `agents` as answer.js and people.js give them. */
export function showQueueTiles(tiles, queues, agents) {
  const waiting = queues.flatMap((queue) => queue.waiting).length;
  const longest = queues.reduce((found, queue) => (queue.longest > (found?.longest ?? 0) ? queue : found), null);
  const figures = queues.map((queue) => queue.figures).filter(Boolean);
  const talking = queues.reduce((sum, queue) => sum + queue.connected.length, 0);
  const sum = (name) => figures.reduce((all, one) => all + one[name], 0);
  const said = {
    waiting: [bigCount(waiting), ...noteOfWaiting(queues, waiting)],
    longest: [duration(longest?.longest ?? 0), queues.length > 1 ? longest?.name ?? "" : "", longest ? "some" : "none"],
    answered: [figures.length ? bigCount(sum("completed")) : UNKNOWN, `${count(talking)} talking now`, "some"],
    abandoned: [figures.length ? bigCount(sum("abandoned")) : UNKNOWN, abandonedInWords(sum("completed"), sum("abandoned")), "some"],
    level: [...levelOf(figures), "some"],
    free: freeOf(agents),
  };
  for (const [id, shown] of Object.entries(said)) tiles.get(id).update(...alarmed(queues, ALARMING[id], shown));
}

/** With the threshold in its note that the figure is beyond or, of several queues, those for which it is so worst. */
function alarmed(queues, figure, shown) {
  const alarms = queues.flatMap((queue) => alarmsOf(queue).map((one) => ({ ...one, queue }))).filter((one) => one.figure === figure);
  const kind = worst(alarms.map((one) => one.kind));
  if (kind === "none") return shown;
  if (queues.length === 1) return [shown[0], alarms[0].limit, kind];
  const those = alarms.filter((one) => one.kind === kind).map((one) => one.queue.name);
  return [shown[0], `${SAID[kind]}: ${those.join(", ")}`, kind];
}

function noteOfWaiting(queues, waiting) {
  const without = queues.filter((queue) => queue.waiting.length && !queue.free);
  if (without.length) return [`no agent free: ${without.map((queue) => queue.name).join(", ")}`, "warn"];
  return waiting ? [`in ${several(queues.length, "queue")}`, "some"] : ["nobody waits", "none"];
}

function abandonedInWords(completed, abandoned) {
  const all = completed + abandoned;
  return all ? `${Math.round((100 * abandoned) / all)} % of ${count(all)}` : "";
}

/** Of several queues it is that of all their calls. */
function levelOf(figures) {
  const those = figures.filter((one) => one.service_level_percent !== null);
  const calls = those.reduce((sum, one) => sum + one.completed, 0);
  if (!calls) return [UNKNOWN, figures.length ? "no calls, or no target" : "not known"];
  const share = those.reduce((sum, one) => sum + one.service_level_percent * one.completed, 0) / calls;
  const targets = [...new Set(those.map((one) => one.service_level_seconds))];
  return [`${Math.floor(share)} %`, targets.length > 1 ? "within their targets" : `within ${targets[0]} s`];
}

function freeOf(agents) {
  const free = agents.filter((one) => one.state === "idle" && !one.paused).length;
  const paused = agents.filter((one) => one.paused).length;
  return [count(free), `of ${count(agents.length)}, ${count(paused)} paused`, free ? "some" : "none"];
}
