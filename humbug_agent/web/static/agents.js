// Agents, each once whatever number of queues it is in. An agent is a person.

import { body, element, marked, row, setForeign, setHidden, setText } from "./dom.js";
import { isWanted } from "./filter.js";
import { agentState, called, running } from "./people.js";
import { sorted } from "./table.js";
import { UNKNOWN, age, count } from "./words.js";

const STATES = ["idle", "in use", "in use, ringing", "ringing", "busy", "on hold", "unavailable", "invalid", "paused"];
const since = (seconds) => (seconds === null ? UNKNOWN : age(seconds));

const COLUMNS = [
  { id: "name", head: "Agent", as: "name", value: called },
  { id: "state", head: "State", as: "state", value: stateOf },
  { id: "for", head: "For", as: "time", value: (agent) => agent.running, down: true },
  { id: "queues", head: "Queues", as: "queue-name", value: (agent) => agent.queues.join(", ") },
  { id: "calls", head: "Calls", value: (agent) => agent.calls_taken, text: count, down: true },
  { id: "last", head: "Last call", value: (agent) => agent.last_call_seconds, text: since },
  { id: "here", head: "Here for", value: (agent) => agent.login_seconds, text: since, down: true },
  { id: "penalty", head: "Penalty", value: (agent) => Math.min(...agent.penalties), text: (least, agent) => agent.penalties.join(", ") },
  { id: "pbx", head: "PBX", as: "pbx", value: (agent) => agent.board },
].map((column) => ({ as: "figure", ...column }));

export function agentsTable() {
  const made = sorted("agents", "Agents", COLUMNS, (agent) => agent.key, agentRow);
  return { ...made, isWanted: (agent) => isWanted([agent.name, agent.interface, agent.reason], stateOf(agent), agent.queues, STATES) };
}

function stateOf(agent) {
  return agent.paused ? "paused" : agent.state;
}

function agentRow() {
  const [name, queues, pbx] = [1, 2, 3].map(() => element("bdi", { class: "foreign" }));
  const [state, time] = [marked(), running()];
  const figures = COLUMNS.filter(({ text }) => text).map((column) => ({ ...column, shown: element("span") }));
  const cells = row(["name", name], ["state", state.node], ["time", time.node], ["queue-name", queues], ...figures.map(({ as, shown }) => [as, shown]), ["pbx", pbx]);
  figures.forEach(({ head, shown }) => shown.parentElement.setAttribute("data-head", head));
  return {
    node: body(cells),
    update(agent) {
      setForeign(name, called(agent));
      state.update(...agentState(agent));
      setHidden(time.node, agent.running === null);
      if (agent.running !== null) time.update(agent.running, "");
      setForeign(queues, agent.queues.join(", "));
      for (const { value, text, shown } of figures) {
        const found = value(agent);
        setText(shown, found === null ? UNKNOWN : text(found, agent));
      }
      setForeign(pbx, agent.board);
    },
  };
}
