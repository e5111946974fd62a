// What is seen first: the verdict, the big numbers, the title of the tab.

import { byId, element, keyed, marked, say, setAttribute, setForeign, setText } from "./dom.js";
import { callState } from "./live.js";
import { UNKNOWN, age, bigCount, clock, count, duration, several } from "./words.js";

const TILES = [
  ["calls", "Calls now", "#calls"],
  ["waiting", "Waiting in queues", "#queues"],
  ["longest", "Longest wait", "#queues"],
  ["unsent", "Deliveries waiting", "#agent"],
  ["dead", "Dead deliveries", "#agent"],
];
const LONG = 6;
const LONGEST = 8;

const tiles = new Map(TILES.map(([id, label, target]) => [id, tile(id, label, target)]));
byId("tiles").append(...[...tiles.values()].map((one) => one.node));

function tile(id, label, target) {
  const value = element("span", { class: "value" }, UNKNOWN);
  const note = element("span", { class: "note" });
  const words = element("span", { class: "label" }, label);
  return {
    node: element("li", { id: `tile-${id}` }, element("a", { href: target }, words, value, note)),
    update(text, remark, kind) {
      setText(value, text);
      setForeign(note, remark);
      setAttribute(value, "data-long", text.length >= LONGEST ? "longest" : text.length >= LONG ? "long" : "short");
      setAttribute(value, "data-kind", kind);
    },
  };
}

/** `sums` and `agent` are null when they are not known. */
export function showTiles(sums, agent, unknown) {
  if (sums) showLiveTiles(sums);
  else for (const id of ["calls", "waiting", "longest"]) tiles.get(id).update(UNKNOWN, unknown, "none");
  if (agent) showAgentTiles(agent);
  else for (const id of ["unsent", "dead"]) tiles.get(id).update(UNKNOWN, "not known", "none");
}

const some = (number, kind = "some") => (number ? kind : "none");

function showLiveTiles({ calls, waiting, queues, without, longest, missing, down }) {
  const how = down ? "down" : "not live";
  const lack = missing ? `without ${several(missing, `PBX that is ${how}`, `PBXs that are ${how}`)}` : "";
  tiles.get("calls").update(bigCount(calls.length), lack || callsInWords(calls), some(calls.length));
  const where = without.length ? `no agent free: ${without.map((queue) => queue.name).join(", ")}` : queues ? `in ${several(queues, "queue")}` : "no queues";
  tiles.get("waiting").update(bigCount(waiting), where, some(waiting, without.length ? "warn" : "some"));
  tiles.get("longest").update(longest ? duration(longest.longest) : "0:00", longest?.name ?? "nobody waits", some(longest));
}

function callsInWords(calls) {
  const words = ["talking", "answered", "ringing", "dialling", "waiting"];
  const states = calls.map((call) => callState(call)[1]);
  const counted = words.map((word) => [states.filter((state) => state === word).length, word]);
  return counted.filter(([number]) => number).map(([number, word]) => `${count(number)} ${word}`).join(", ") || "all is quiet";
}

function showAgentTiles(agent) {
  const { waiting, sent, dead } = agent.deliveries;
  const all = Object.values(agent.destinations);
  const oldest = Math.max(-1, ...all.map((one) => one.oldest_waiting_seconds ?? -1));
  const stuck = all.some((one) => one.waiting && one.state !== "ok");
  const note = waiting && oldest >= 0 ? `oldest ${age(oldest)}, ${count(sent)} sent` : `${count(sent)} sent`;
  tiles.get("unsent").update(bigCount(waiting), note, some(waiting, stuck ? "warn" : "some"));
  tiles.get("dead").update(bigCount(dead), dead ? "refused for good, kept" : "none refused for good", some(dead, "bad"));
}

/** `troubles` are those of answer.js; none means that all is well. */
export function showVerdict(troubles, remark) {
  const shown = troubles.length ? troubles : [{ kind: "good", head: "All is well", words: "" }];
  setAttribute(byId("top"), "data-kind", shown[0].kind);
  keyed(byId("troubles"), shown, (one) => one.head, trouble);
  say(byId("remark"), remark);
  // Only the headings are said aloud: the words beside them may have numbers that change all the time.
  setText(byId("said"), shown.map((one) => one.head).join(". "));
}

function trouble() {
  const head = marked();
  const words = element("span", { class: "words" });
  return {
    node: element("li", {}, head.node, " ", words),
    update(one) {
      head.update(one.kind, one.head);
      setForeign(words, one.words);
    },
  };
}

export function showTitle(troubles, sums) {
  const numbers = sums ? `${several(sums.calls.length, "call")}, ${count(sums.waiting)} waiting` : "calls not known";
  const mark = troubles.length ? `\u26a0 ${troubles[0].head} - ` : "";
  const title = `${mark}${numbers} - humbug-agent`;
  if (document.title !== title) document.title = title;
}

export function showClock(now) {
  setText(byId("clock"), now ? clock(now) : "--:--:--");
}
