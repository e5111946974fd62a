// Calls and queues as they are now.

import { body, byId, capped, element, keyed, marked, person, row, say, setAttribute, setForeign, setHidden, setText, table } from "./dom.js";
import { troubleOf } from "./answer.js";
import { isFiltered, isWanted, onFilter, showQueues } from "./filter.js";
import { leadsToJourney } from "./journey.js";
import { agentInWords, agentState, running } from "./people.js";
import { UNKNOWN, clock, count, duration, several, visible } from "./words.js";

const CALL_STATES = { ring: ["dialling", "dialling"], ringing: ["ringing", "ringing"] };

let shown = [[], ""];

onFilter(() => showLive(...shown));

/** `boards` is empty when nothing is known; `unknown` then says why. */
export function showLive(boards, unknown) {
  shown = [boards, unknown];
  showQueues(boards.flatMap((board) => board.queues.map((queue) => queue.name)));
  for (const [part, create] of [["calls", callsOfBoard], ["queues", queuesOfBoard]]) {
    say(byId(`${part}-empty`), unknown);
    setAttribute(byId(part), "data-boards", boards.length > 1 ? "several" : "one");
    keyed(byId(`${part}-boards`), boards, (board) => board.name, () => boardPart(create()));
  }
}

export function callState(call) {
  if (call.waiting) return ["wait", "waiting"];
  return CALL_STATES[call.state] ?? ["busy", call.devices.length > 1 ? "talking" : "answered"];
}

/** Of a board that is not live nothing is shown; why it is not stands at the top and among the boards. */
function boardPart(part) {
  const heading = element("h3", { class: "foreign" });
  const message = element("p", { class: "empty" });
  return {
    node: element("section", {}, heading, message, part.node),
    update(board) {
      setForeign(heading, board.name);
      say(message, board.live ? part.empty(board) : `Not known: ${troubleOf(board)}.`);
      setHidden(part.node, !board.live);
      part.update(board);
    },
  };
}

function callsOfBoard() {
  const calls = list("calls", "Calls, the oldest first", [["From", "from"], ["To", "to"], ["State", "state"], ["For", "time"]], callRow);
  return {
    node: calls.node,
    empty(board) {
      if (wanted(board).length) return "";
      return board.calls.length && isFiltered() ? "None of the calls." : "No calls now.";
    },
    update: (board) => calls.update(wanted(board)),
  };
}

function wanted(board) {
  return board.calls.filter((call) => isWanted(call, callState(call)[1]));
}

function queuesOfBoard() {
  const node = element("div", { class: "queues" });
  return {
    node,
    empty: (board) => (board.queues.length ? "" : "No queues."),
    update: (board) => keyed(node, board.queues, (queue) => queue.name, queuePart),
  };
}

/** A table of people that shows only so many rows, and says so; it is there only while it has any. */
function list(kind, caption, columns, create) {
  const node = table(`people ${kind}`, caption, columns);
  const rows = body();
  const more = element("p", { class: "more" });
  node.append(rows);
  return {
    node: element("div", {}, node, more),
    update(items) {
      const { shown, more: left } = capped(items);
      keyed(rows, shown, (item) => item.id, create);
      setHidden(node, !shown.length);
      say(more, left);
    },
  };
}

function callRow() {
  const [from, to, state, time] = [person(), person(), marked(), running()];
  const node = row(["from", from.node], ["to", to.node], ["state", state.node], ["time", time.node]);
  let shown = null;
  const reach = leadsToJourney(node, () => shown);
  return {
    node,
    update(call) {
      shown = call;
      reach();
      from.update(call.from_name, call.from_number);
      to.update(call.to_name, call.to_number, call.queue && `queue ${call.queue}`);
      state.update(...callState(call));
      time.update(call.running, call.since);
    },
  };
}

function queuePart() {
  const name = element("h4", { class: "foreign" });
  const sums = element("p", { class: "sums" });
  const alarm = element("p", { class: "alarm" });
  const figures = element("p", { class: "sums figures" });
  const waiting = list("waiting", "Waiting", [["", "place"], ["Waiting", "from"], ["For", "time"]], waitingRow);
  const connected = list("connected", "Connected", [["Connected", "from"], ["With", "to"], ["Waited", "waited"], ["For", "time"]], connectedRow);
  const agents = agentList();
  return {
    node: element("section", { class: "queue" }, element("header", {}, name, alarm, sums, figures), waiting.node, connected.node, agents.node),
    update(queue) {
      setForeign(name, queue.name);
      setText(sums, sumsInWords(queue));
      say(figures, queue.figures ? figuresInWords(queue.figures) : "");
      say(alarm, queue.waiting.length && !queue.free ? "No agent is free" : "");
      waiting.update(queue.waiting);
      connected.update(queue.connected);
      agents.update(queue);
    },
  };
}

function sumsInWords(queue) {
  const waits = queue.waiting.length ? `${count(queue.waiting.length)} waiting` : "nobody waits";
  const agents = queue.members.length ? `${queue.free} of ${several(queue.members.length, "agent")} free` : "no agents";
  return `${waits}, ${count(queue.connected.length)} connected, ${agents}`;
}

/** What the PBX has counted since it was started, or since its figures were reset. */
export function figuresInWords(figures) {
  const { completed, abandoned, service_level_percent: level, service_level_seconds: target } = figures;
  const counted = `${count(completed)} answered, ${count(abandoned)} abandoned`;
  const share = level === null ? "" : `, ${count(level)}\u00a0% within ${target}\u00a0s`;
  return `${counted}${share}, hold ${duration(figures.hold_seconds)}, talk ${duration(figures.talk_seconds)}`;
}

function waitingRow() {
  const [caller, place, time] = [person(), element("span"), running()];
  return {
    node: row(["place", place], ["from", caller.node], ["time", time.node]),
    update(call) {
      caller.update(call.name, call.number, call.country);
      setText(place, call.position ? `${call.position}.` : "");
      time.update(call.running, call.entered);
    },
  };
}

function connectedRow() {
  const [caller, agent, waited, time] = [person(), person(), element("span"), running()];
  return {
    node: row(["from", caller.node], ["to", agent.node], ["waited", waited], ["time", time.node]),
    update(call) {
      caller.update(call.name, call.number, call.country);
      agent.update(call.agent_name, call.agent);
      setText(waited, call.waited_seconds === null ? UNKNOWN : duration(call.waited_seconds));
      time.update(call.running, call.since);
    },
  };
}

function agentList() {
  const rows = element("ul", { class: "agents" });
  const more = element("p", { class: "more" });
  return {
    node: element("div", {}, rows, more),
    update(queue) {
      const { shown, more: left } = capped(queue.members);
      setAttribute(rows, "aria-label", `Agents of ${visible(queue.name)}`);
      keyed(rows, shown, (member) => member.interface, agentItem);
      setHidden(rows, !shown.length);
      say(more, left);
    },
  };
}

function agentItem() {
  const name = element("bdi", { class: "foreign called" });
  const detail = element("span", { class: "foreign detail" });
  const [state, time] = [marked(), running()];
  return {
    node: element("li", {}, name, time.node, state.node, detail),
    update(member) {
      setForeign(name, member.name || member.interface);
      state.update(...agentState(member));
      setHidden(time.node, member.running === null);
      if (member.running !== null) time.update(member.running, "");
      setForeign(detail, agentInWords(member));
      setHidden(detail, member.calls_taken === null);
    },
  };
}
