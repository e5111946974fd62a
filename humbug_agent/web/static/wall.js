// Queues from across the room: big figures, who waits, who could answer. It never scrolls: what has no place is counted.

import { isListening, tellOf } from "./alarms.js";
import { lookAt, sumsOf, troubleOf, troublesOf } from "./answer.js";
import { byId, element, keyed, marked, person, say, setAttribute, setForeign, setHidden, setText } from "./dom.js";
import { linesOf, trunksTile } from "./lines.js";
import "./marks.js";
import { agentState, agentsOf, called, running } from "./people.js";
import { NO_BOARD, follow } from "./stream.js";
import { SAID, waitKind } from "./thresholds.js";
import { QUEUE_TILES, makeTiles, showNothing, showQueueTiles } from "./tiles.js";
import { showTop } from "./top.js";
import { age, count, several } from "./words.js";

const tiles = makeTiles(QUEUE_TILES);

/** Which queues the address asks for, by their names in small letters; none asks for all. */
const asked = new Map(new URLSearchParams(location.search).getAll("queue").filter(Boolean).map((name) => [small(name), name]));
const NOTHING = { waiting: [], agents: [], known: false };
let seen = NOTHING;

/** As IPPS and agent.ini take names. */
function small(name) {
  return name.toLowerCase();
}

function isAsked(name) {
  return asked.has(small(name));
}

function known(answer, received, now, remark) {
  const boards = lookAt(answer, received, now);
  const live = boards.filter((board) => board.live);
  const all = live.flatMap((board) => board.queues);
  const queues = all.filter((queue) => !asked.size || isAsked(queue.name));
  const lacking = [...asked].filter(([name]) => !all.some((queue) => small(queue.name) === name)).map(([, name]) => name);
  showTop(answer, troublesOf(answer, queues), sumsOf(boards), remark);
  showChoice(all);
  if (!live.length) return showNone(boards.length ? `Not known: ${troubleOf(boards[0])}.` : NO_BOARD);
  say(byId("why"), lacking.length ? `There is no queue ${lacking.join(", ")}.` : all.length ? "" : "No queues.");
  seen = { waiting: waitingOf(queues), agents: agentsOf(queues), known: true };
  showQueueTiles(tiles, queues, seen.agents);
  tiles.get("trunks").update(...trunksTile(linesOf(live)));
  // It may show switches, which take room from the top.
  tellOf(queues);
  fill();
}

function unknown(trouble) {
  showTop(null, [trouble], null, "");
  showNone(trouble.kind === "wait" ? "Asking the agent \u2026" : "Not known.");
}

function showNone(why) {
  say(byId("why"), why);
  showNothing(tiles, tiles.keys(), "not known");
  seen = NOTHING;
  fill();
}

/** Which queues there are to choose from: each is an address of its own, and so is all of them. */
function showChoice(all) {
  const names = [...new Set(all.map((queue) => queue.name))];
  const items = [{ name: "", on: !asked.size }, ...names.map((name) => ({ name, on: isAsked(name) }))];
  const box = byId("choice");
  const isNew = !box.firstChild;
  keyed(box, names.length > 1 ? items : [], (item) => item.name, () => {
    const node = element("a", { class: "foreign" });
    return {
      node,
      update({ name, on }) {
        setForeign(node, name || "All queues");
        setAttribute(node, "href", name ? `wall?queue=${encodeURIComponent(name)}` : "wall");
        setAttribute(node, "aria-current", on ? "true" : "false");
      },
    };
  });
  // Nothing else says whose wall this is. (scrollIntoView would have the Tab key begin there.)
  const chosen = box.querySelector("[aria-current=true]");
  if (isNew && chosen) box.scrollLeft = chosen.offsetLeft - (box.clientWidth - chosen.offsetWidth) / 2;
}

function waitingOf(queues) {
  const callers = queues.flatMap((queue) => queue.waiting.map((call) => {
    const kind = waitKind(call.running, queue.thresholds);
    return { ...call, kind, key: `${queue.key} ${call.id}`, queue: queues.length > 1 ? queue.name : "" };
  }));
  return callers.sort((one, other) => other.running - one.running);
}

/** As much as there is room for, and how much there is not. */
function fill() {
  const { waiting, agents, known: isKnown } = seen;
  setText(byId("line-title"), isKnown ? `Waiting: ${count(waiting.length)}` : "Waiting: not known");
  const rows = room(byId("line-rows"), "--row", waiting.length);
  keyed(byId("line-rows").firstElementChild, waiting.slice(0, rows), (call) => call.key, waitingRow);
  say(byId("line-more"), waiting.length > rows ? `and ${count(waiting.length - rows)} more` : "");
  setText(byId("people-title"), isKnown ? `Agents: ${count(agents.length)}` : "Agents: not known");
  const { columns, lines } = grid(agents.length);
  const people = byId("people-rows").firstElementChild;
  people.style.setProperty("--columns", String(columns));
  people.style.setProperty("--lines", String(lines));
  keyed(people, agents.slice(0, columns * lines), (one) => one.key, agentCell);
  const left = agents.length - columns * lines;
  say(byId("people-more"), left > 0 ? `and ${count(left)} more` : "");
}

/** How many lines of a height, in rem, have a place; all, where the page may be scrolled. */
function room(box, height, all) {
  if (getComputedStyle(box).getPropertyValue("--fixed").trim() !== "yes") return all;
  return Math.max(1, Math.floor(box.clientHeight / (size(box, height) * rem())));
}

/** The lines are lower, and say less, where not everybody has a place otherwise. */
function grid(agents) {
  const box = byId("people-rows");
  const most = Math.max(1, Math.floor(box.clientWidth / (size(box, "--column") * rem())));
  const needed = Math.ceil(agents / most);
  const dense = room(box, "--row", needed) < needed;
  setAttribute(box, "data-dense", String(dense));
  const lines = room(box, dense ? "--low" : "--row", needed);
  // As few columns as will do: the wider they are, the better a name can be read.
  const columns = Math.min(most, Math.max(1, Math.ceil(agents / lines), Math.min(3, most)));
  return { columns, lines: Math.min(lines, Math.max(1, Math.ceil(agents / columns))) };
}

function size(box, name) {
  return parseFloat(getComputedStyle(box).getPropertyValue(name));
}

function rem() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** A wait that is beyond a threshold has a mark, a colour and a word. */
function waitingRow() {
  const [caller, alarm, time] = [person(), marked(), running()];
  const node = element("li", {}, caller.node, alarm.node, time.node);
  return {
    node,
    update(call) {
      setAttribute(node, "data-kind", call.kind);
      caller.update(call.name, call.number, call.queue, call.country);
      alarm.update(call.kind, SAID[call.kind] ?? "");
      time.update(call.running, call.entered);
    },
  };
}

function agentCell() {
  const name = element("bdi", { class: "foreign called" });
  const detail = element("span", { class: "foreign detail" });
  const [state, time] = [marked(), running()];
  const node = element("li", {}, name, time.node, state.node, detail);
  return {
    node,
    update(agent) {
      const [kind, words] = agentState(agent);
      setAttribute(node, "data-kind", kind);
      setForeign(name, called(agent));
      state.update(kind, words);
      setHidden(time.node, agent.running === null);
      if (agent.running !== null) time.update(agent.running, "");
      setForeign(detail, agent.calls_taken === null ? "" : callsInWords(agent));
    },
  };
}

function callsInWords(agent) {
  const last = agent.last_call_seconds === null ? "" : `, ${age(agent.last_call_seconds)} ago`;
  return several(agent.calls_taken, "call") + last;
}

addEventListener("resize", fill);
follow({ known, unknown, isListening });
