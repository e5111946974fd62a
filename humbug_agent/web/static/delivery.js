// Delivery: how this program fares, its sources, destinations and findings, and what was sent in the last hour.

import { troublesOf, lookAt, sumsOf } from "./answer.js";
import { showCharts } from "./charts.js";
import { byId, element, say, setHidden } from "./dom.js";
import "./marks.js";
import { partTable } from "./parts.js";
import { follow } from "./stream.js";
import { makeTiles, showNothing } from "./tiles.js";
import { showTop } from "./top.js";
import { UNKNOWN, age, bigCount, bytes, clock, megabytes, moment, several } from "./words.js";

const tiles = makeTiles([
  ["unsent", "Deliveries waiting", "#destinations"], ["oldest", "Oldest of them", "#destinations"], ["sent", "Sent", "#destinations"],
  ["dead", "Dead deliveries", "#destinations"], ["rejects", "Rejects", "#sources"],
]);
const destinations = partTable("destinations", "Destinations", ["Waiting", "Oldest", "Sent", "Dead"], destinationFigures);
const sources = partTable("sources", "Sources", ["Read ago", "Unread", "Calls", "Rejects"], sourceFigures);
const boards = partTable("boards", "Boards", ["Over", "Last look"], boardFigures);
const findings = partTable("findings", "Findings", ["Since"], (found) => [moment(found.since, found.now)]);
const charts = element("div", { class: "charts" });
const outbox = element("p", { class: "outbox" });

byId("destinations-table").append(destinations.node, charts);
byId("sources-table").append(sources.node, boards.node, outbox);
byId("findings-table").append(findings.node);

function known(answer, received, now, remark) {
  const looked = lookAt(answer, received, now);
  showTop(answer, troublesOf(answer), sumsOf(looked), remark);
  showAgent(answer, answer.agent.error ? `The agent's state is not known: ${answer.agent.error}` : "");
}

function unknown(trouble) {
  showTop(null, [trouble], null, "");
  showAgent(null, trouble.kind === "wait" ? "Asking the agent \u2026" : "Not known.");
}

/** `answer` is null when nothing is known; `why` then says why. */
function showAgent(answer, why) {
  const agent = answer && !answer.agent.error ? answer.agent : null;
  for (const part of ["destinations", "sources", "findings"]) {
    say(byId(`${part}-empty`), why);
    setHidden(byId(`${part}-table`), !answer);
  }
  if (answer) boards.update(answer.boards.map((board) => ({ ...board, state: stateOf(board) })));
  const named = (parts) => Object.entries(parts).map(([name, one]) => ({ name, now: answer.now, ...one }));
  destinations.update(agent ? named(agent.destinations) : []);
  sources.update(agent ? named(agent.sources) : []);
  findings.update(agent ? agent.findings.map((one) => ({ ...one, name: one.code, state: "found", now: answer.now })) : []);
  if (agent && !agent.findings.length) say(byId("findings-empty"), "None. humbug-agent doctor looks for more than what comes up while the agent runs.");
  showCharts(charts, answer ? answer.sent_per_minute : {});
  say(outbox, agent ? outboxInWords(agent) : "");
  showTiles(agent);
}

function stateOf(board) {
  if (board.live) return "up";
  return board.trouble ? "not live" : "down";
}

function outboxInWords(agent) {
  const { used_bytes: used, max_bytes: most } = agent.outbox;
  const kept = `${several(agent.calls, "call")} and ${several(agent.rejects, "reject")}`;
  const untaken = agent.untaken ? ` No destination takes ${several(agent.untaken, "call")}, the last is ${agent.last_untaken}.` : "";
  return `Outbox: ${kept} in ${megabytes(used)} of ${megabytes(most)} MB.${untaken} Looked up at ${clock(agent.as_of)}.`;
}

function boardFigures(board) {
  return [board.over, board.age_seconds === null ? "never" : `${age(board.age_seconds)} ago`];
}

function sourceFigures(source) {
  const read = source.age_seconds === null ? "never" : age(source.age_seconds);
  return [read, unreadWords(source), bigCount(source.calls), bigCount(source.rejects)];
}

function unreadWords(source) {
  if (source.unread_seconds) return `${age(source.unread_seconds)} of calls`;
  if (source.unread_seconds === 0) return "0";
  return source.unread_bytes === null ? UNKNOWN : bytes(source.unread_bytes);
}

function destinationFigures(one) {
  const oldest = one.oldest_waiting_seconds;
  return [bigCount(one.waiting), oldest === null ? UNKNOWN : age(oldest), bigCount(one.sent), bigCount(one.dead)];
}

const some = (number, kind = "some") => (number ? kind : "none");

function showTiles(agent) {
  if (!agent) return showNothing(tiles, tiles.keys(), "not known");
  const { waiting, sent, dead } = agent.deliveries;
  const all = Object.values(agent.destinations);
  const oldest = Math.max(-1, ...all.map((one) => one.oldest_waiting_seconds ?? -1));
  const stuck = all.filter((one) => one.waiting && one.state !== "ok").length;
  tiles.get("unsent").update(bigCount(waiting), stuck ? `${several(stuck, "destination")} not well` : "", some(waiting, stuck ? "warn" : "some"));
  tiles.get("oldest").update(oldest < 0 ? UNKNOWN : age(oldest), oldest < 0 ? "none waits" : "", oldest < 0 ? "none" : "some");
  tiles.get("sent").update(bigCount(sent), `to ${several(all.length, "destination")}, kept for replay`, some(sent));
  tiles.get("dead").update(bigCount(dead), dead ? "refused for good, kept" : "none refused for good", some(dead, "bad"));
  tiles.get("rejects").update(bigCount(agent.rejects), `of ${several(agent.calls, "call")}`, some(agent.rejects, "warn"));
}

follow({ known, unknown });
