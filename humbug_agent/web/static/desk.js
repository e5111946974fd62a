// The desk: queues, calls and agents in tables, each call and each agent once.

import { onChosen } from "./address.js";
import { agentsTable } from "./agents.js";
import { isListening, tellOf } from "./alarms.js";
import { lookAt, sumsOf, troubleOf, troublesOf } from "./answer.js";
import { callsTable, stateOf } from "./calls.js";
import { byId, element, keyed, say, setAttribute, setForeign } from "./dom.js";
import { isFiltered, showQueues } from "./filter.js";
import { linesInWords, linesOf, trunksTable, trunksTile } from "./lines.js";
import "./marks.js";
import { agentsOf } from "./people.js";
import { NO_BOARD, follow } from "./stream.js";
import { queuesTable } from "./queues.js";
import { QUEUE_TILES, makeTiles, showNothing, showQueueTiles } from "./tiles.js";
import { showTop } from "./top.js";
import { bigCount, count, several } from "./words.js";

const TARGETS = { free: "#agents", trunks: "#trunks" };
const tiles = makeTiles([["calls", "Calls now", "#calls"], ...QUEUE_TILES.map(([id, label]) => [id, label, TARGETS[id] ?? "#queues"])]);
const parts = { queues: queuesTable(), calls: callsTable(), agents: agentsTable() };
for (const [name, part] of Object.entries(parts)) byId(`${name}-table`).append(part.node);
const trunks = trunksTable();
byId("trunks-table").append(trunks.node);

let shown = [[], ""];

function known(answer, received, now, remark) {
  const boards = lookAt(answer, received, now);
  const queues = boards.filter((board) => board.live).flatMap((board) => board.queues);
  showTop(answer, troublesOf(answer, queues), sumsOf(boards), remark);
  showTables(boards, boards.length ? "" : NO_BOARD);
  showTiles(boards);
  tellOf(queues);
}

function unknown(trouble) {
  showTop(null, [trouble], null, "");
  showTables([], trouble.kind === "wait" ? "Asking the agent \u2026" : "Not known.");
  showNothing(tiles, tiles.keys(), "not known");
}

/** `boards` is empty when nothing is known; `why` then says why. */
function showTables(boards, why) {
  shown = [boards, why];
  const live = boards.filter((board) => board.live);
  const queues = live.flatMap((board) => board.queues);
  const all = { queues, calls: live.flatMap((board) => board.calls), agents: agentsOf(queues) };
  showQueues(queues.map((queue) => queue.name));
  setAttribute(document.body, "data-boards", boards.length > 1 ? "several" : "one");
  showTrunks(live, why);
  const away = boards.filter((board) => !board.live).map((board) => lackOf(board, boards.length > 1)).join(" ");
  for (const [name, part] of Object.entries(parts)) {
    const wanted = all[name].filter(part.isWanted);
    part.update(wanted);
    say(byId(`${name}-empty`), why || [away, live.length ? emptiness(name, wanted, all[name]) : ""].filter(Boolean).join(" "));
  }
}

function showTrunks(live, why) {
  const lines = linesOf(live);
  trunks.update(lines?.trunks ?? []);
  const words = why ? [why] : live.length ? linesInWords(lines) : [];
  keyed(byId("trunks-words"), words.map((said, place) => ({ said, place })), ({ place }) => place, () => {
    const node = element("li");
    return { node, update: ({ said }) => setForeign(node, said) };
  });
}

/** Of a board that is not live nothing is shown, and why not is said. */
function lackOf(board, isNamed) {
  return isNamed ? `${board.name} is not known: ${troubleOf(board)}.` : `Not known: ${troubleOf(board)}.`;
}

function emptiness(name, wanted, all) {
  if (wanted.length) return "";
  if (all.length && isFiltered()) return `None of the ${name}.`;
  return { queues: "No queues.", calls: "No calls now.", agents: "No agents." }[name];
}

function showTiles(boards) {
  const live = boards.filter((board) => board.live);
  if (!live.length) return showNothing(tiles, tiles.keys(), boards.length ? troubleOf(boards[0]) : "no source tells of them");
  const queues = live.flatMap((board) => board.queues);
  const calls = live.flatMap((board) => board.calls);
  tiles.get("calls").update(bigCount(calls.length), lackInWords(boards) || callsInWords(calls), calls.length ? "some" : "none");
  showQueueTiles(tiles, queues, agentsOf(queues));
  tiles.get("trunks").update(...trunksTile(linesOf(live)));
}

function lackInWords(boards) {
  const missing = boards.filter((board) => !board.live);
  const how = missing.some((board) => board.trouble) ? "not live" : "down";
  return missing.length ? `without ${several(missing.length, `PBX that is ${how}`, `PBXs that are ${how}`)}` : "";
}

/** As short as its two lines: the table tells the states apart, and how many wait says the tile beside it. */
function callsInWords(calls) {
  const number = (...words) => calls.filter((call) => words.includes(stateOf(call))).length;
  const counted = [[number("talking", "answered"), "connected"], [number("ringing", "dialling"), "ringing"]];
  const nobody = calls.length ? "none connected" : "all is quiet";
  return counted.filter(([many]) => many).map(([many, word]) => `${count(many)} ${word}`).join(", ") || nobody;
}

onChosen(() => showTables(...shown));
follow({ known, unknown, isListening });
