// The five big numbers over calls, queues and agent.

import { tile } from "./top.js";
import { callState } from "./live.js";
import { byId } from "./dom.js";
import { UNKNOWN, age, bigCount, count, duration, several } from "./words.js";

const TILES = [
  ["calls", "Calls now", "#calls"],
  ["waiting", "Waiting in queues", "#queues"],
  ["longest", "Longest wait", "#queues"],
  ["unsent", "Deliveries waiting", "#agent"],
  ["dead", "Dead deliveries", "#agent"],
];

const tiles = new Map(TILES.map(([id, label, target]) => [id, tile(id, label, target)]));
byId("tiles").append(...[...tiles.values()].map((one) => one.node));

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
