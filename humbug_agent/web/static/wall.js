// Queues from across the room: big figures, who waits, who could answer. It never scrolls: what has no place is counted.

import { byId, element, keyed, marked, person, say, setAttribute, setForeign, setHidden, setText } from "./dom.js";
import { lookAt, troubleOf, troublesOf } from "./answer.js";
import { agentState, running } from "./people.js";
import "./marks.js";
import { NO_BOARD, follow } from "./stream.js";
import { showClock, showTitle, showVerdict, tile } from "./top.js";
import { UNKNOWN, age, bigCount, count, duration, several } from "./words.js";

const TILES = [
  ["waiting", "Waiting"], ["longest", "Longest wait"], ["answered", "Answered"],
  ["abandoned", "Abandoned"], ["level", "Service level"], ["free", "Agents free"],
];
const AWAY = ["unavailable", "invalid", "unknown"];
const tiles = new Map(TILES.map(([id, label]) => [id, tile(id, label)]));
byId("tiles").append(...[...tiles.values()].map((one) => one.node));

/** Which queues the address asks for; none asks for all. */
const asked = new Set(new URLSearchParams(location.search).getAll("queue"));
const NOTHING = { waiting: [], agents: [], known: false };
let seen = NOTHING;

function known(answer, received, now, remark) {
  const boards = lookAt(answer, received, now);
  const live = boards.filter((board) => board.live);
  const all = live.flatMap((board) => board.queues.map((queue) => ({ ...queue, key: `${board.name} ${queue.name}` })));
  const queues = all.filter((queue) => !asked.size || asked.has(queue.name));
  const lacking = [...asked].filter((name) => !all.some((queue) => queue.name === name));
  const troubles = troublesOf(answer);
  showVerdict(troubles, remark);
  showClock(answer.now);
  showChoice(all);
  if (!live.length) return showNothing(troubles, boards.length ? `Not known: ${troubleOf(boards[0])}.` : NO_BOARD);
  say(byId("why"), lacking.length ? `There is no queue ${lacking.join(", ")}.` : all.length ? "" : "No queues.");
  seen = { waiting: waitingOf(queues), agents: agentsOf(queues), known: true };
  showTitle(troubles, { calls: live.flatMap((board) => board.calls), waiting: seen.waiting.length });
  showTiles(queues);
  fill();
}

function unknown(trouble) {
  showVerdict([trouble], "");
  showClock("");
  showNothing([trouble], trouble.kind === "wait" ? "Asking the agent …" : "Not known.");
}

function showNothing(troubles, why) {
  say(byId("why"), why);
  showTitle(troubles, null);
  for (const one of tiles.values()) one.update(UNKNOWN, "not known", "none");
  seen = NOTHING;
  fill();
}

/** Which queues there are to choose from: each is an address of its own, and so is all of them. */
function showChoice(all) {
  const names = [...new Set(all.map((queue) => queue.name))];
  const items = [{ name: "", on: !asked.size }, ...names.map((name) => ({ name, on: asked.has(name) }))];
  keyed(byId("choice"), names.length > 1 ? items : [], (item) => item.name, () => {
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
}

function waitingOf(queues) {
  const callers = queues.flatMap((queue) => queue.waiting.map((call) => ({ ...call, queue: queues.length > 1 ? queue.name : "" })));
  return callers.sort((one, other) => other.running - one.running);
}

/** Whoever is in several of the queues is one person, and paused only where it is so in all; those away stand last. */
function agentsOf(queues) {
  const found = new Map();
  for (const member of queues.flatMap((queue) => queue.members)) {
    const before = found.get(member.interface);
    const taken = (before?.calls_taken ?? 0) + (member.calls_taken ?? 0);
    const shown = before && !before.paused ? before : member;
    found.set(member.interface, before ? { ...shown, calls_taken: taken } : member);
  }
  const away = (one) => Number(AWAY.includes(one.state) && !one.paused);
  const called = (one) => one.name || one.interface;
  return [...found.values()].sort((one, other) => away(one) - away(other) || called(one).localeCompare(called(other)));
}

function showTiles(queues) {
  const { waiting, agents } = seen;
  const free = agents.filter((one) => one.state === "idle" && !one.paused).length;
  const paused = agents.filter((one) => one.paused).length;
  const without = queues.filter((queue) => queue.waiting.length && !queue.free);
  const figures = queues.map((queue) => queue.figures).filter(Boolean);
  const talking = queues.reduce((sum, queue) => sum + queue.connected.length, 0);
  const sum = (name) => figures.reduce((all, one) => all + one[name], 0);
  tiles.get("waiting").update(bigCount(waiting.length), without.length ? `\u26a0 no agent free: ${without.map((queue) => queue.name).join(", ")}` : waiting.length ? "" : "nobody waits", without.length ? "warn" : waiting.length ? "some" : "none");
  tiles.get("longest").update(duration(waiting[0]?.running ?? 0), waiting[0]?.queue ?? "", waiting.length ? "some" : "none");
  tiles.get("answered").update(figures.length ? bigCount(sum("completed")) : UNKNOWN, `${count(talking)} talking now`, "some");
  tiles.get("abandoned").update(figures.length ? bigCount(sum("abandoned")) : UNKNOWN, abandonedInWords(sum("completed"), sum("abandoned")), "some");
  tiles.get("level").update(...levelOf(figures), "some");
  tiles.get("free").update(count(free), `of ${several(agents.length, "agent")}, ${count(paused)} paused`, free ? "some" : "none");
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
  return [`${Math.round(share)} %`, targets.length > 1 ? "within their targets" : `within ${targets[0]} s`];
}

/** As much as there is room for, and how much there is not. */
function fill() {
  const { waiting, agents, known: isKnown } = seen;
  setText(byId("line-title"), isKnown ? `Waiting: ${count(waiting.length)}` : "Waiting: not known");
  const rows = room(byId("line-rows"), "--row", waiting.length);
  keyed(byId("line-rows").firstElementChild, waiting.slice(0, rows), (call) => `${call.queue} ${call.id}`, waitingRow);
  say(byId("line-more"), waiting.length > rows ? `and ${count(waiting.length - rows)} more` : "");
  setText(byId("people-title"), isKnown ? `Agents: ${count(agents.length)}` : "Agents: not known");
  const { columns, lines } = grid(agents.length);
  const people = byId("people-rows").firstElementChild;
  people.style.setProperty("--columns", String(columns));
  people.style.setProperty("--lines", String(lines));
  keyed(people, agents.slice(0, columns * lines), (one) => one.interface, agentCell);
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

function waitingRow() {
  const [caller, time] = [person(), running()];
  return {
    node: element("li", {}, caller.node, time.node),
    update(call) {
      caller.update(call.name, call.number, call.queue, call.country);
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
    update(member) {
      const [kind, words] = agentState(member);
      setAttribute(node, "data-kind", kind);
      setForeign(name, member.name || member.interface);
      state.update(kind, words);
      setHidden(time.node, member.running === null);
      if (member.running !== null) time.update(member.running, "");
      setForeign(detail, member.calls_taken === null ? "" : callsInWords(member));
    },
  };
}

function callsInWords(member) {
  const last = member.last_call_seconds === null ? "" : `, ${age(member.last_call_seconds)} ago`;
  return several(member.calls_taken, "call") + last;
}

addEventListener("resize", fill);
follow({ known, unknown });
