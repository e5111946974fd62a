// The calls that there are now, each once, with who waits for an agent and who talks to one.

import { body, element, marked, person, row, setForeign, setText } from "./dom.js";
import { isWanted } from "./filter.js";
import { leadsToJourney } from "./journey.js";
import { running } from "./people.js";
import { sorted } from "./table.js";
import { waitKind } from "./thresholds.js";
import { UNKNOWN, duration } from "./words.js";

const KINDS = { talking: "busy", answered: "busy", ringing: "ringing", dialling: "dialling", waiting: "wait" };
const STATES = Object.keys(KINDS);

const COLUMNS = [
  { id: "from", head: "From", as: "from", value: (call) => call.from_name || call.from_number },
  { id: "to", head: "To", as: "to", value: (call) => call.to_name || call.to_number },
  { id: "queue", head: "Queue", as: "queue-name", value: (call) => call.queue || null },
  { id: "state", head: "State", as: "state", value: stateOf },
  { id: "wait", head: "Wait", as: "waited", value: (call) => call.wait, down: true },
  { id: "for", head: "For", as: "time", value: (call) => call.running, down: true },
  { id: "pbx", head: "PBX", as: "pbx", value: (call) => call.board },
];

export function callsTable() {
  const made = sorted("calls", "Calls", COLUMNS, (call) => call.key, callRow);
  return { ...made, isWanted: isWantedCall };
}

export function stateOf(call) {
  if (call.waiting) return "waiting";
  return { ring: "dialling", ringing: "ringing" }[call.state] ?? (call.devices.length > 1 ? "talking" : "answered");
}

function isWantedCall(call) {
  const words = [call.from_name, call.from_number, call.to_name, call.to_number, call.queue, ...call.devices];
  return isWanted(words, stateOf(call), [call.queue], STATES);
}

function waitInWords({ queue, wait }) {
  if (!queue) return "";
  return wait === null ? UNKNOWN : duration(wait);
}

function callRow() {
  const [from, to, state, wait, time] = [person(), person(), marked(), marked(), running()];
  const [queue, place] = [element("bdi", { class: "foreign" }), element("span", { class: "detail" })];
  const pbx = element("bdi", { class: "foreign" });
  const about = element("span", { class: "person" }, queue, place);
  const cells = row(
    ["from", from.node], ["to", to.node], ["queue-name", about], ["state", state.node], ["waited", wait.node],
    ["time", time.node], ["pbx", pbx],
  );
  let shown = null;
  const reach = leadsToJourney(cells, () => shown);
  return {
    node: body(cells),
    update(call) {
      shown = call;
      reach();
      const word = stateOf(call);
      from.update(call.from_name, call.from_number);
      to.update(call.to_name, call.to_number);
      setForeign(queue, call.queue);
      setText(place, call.position ? `place ${call.position}` : "");
      state.update(KINDS[word], word);
      wait.update(call.waiting ? waitKind(call.wait, call.thresholds) : "none", waitInWords(call));
      time.update(call.running, call.since);
      setForeign(pbx, call.board);
    },
  };
}
