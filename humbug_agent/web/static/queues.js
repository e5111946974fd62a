// Queues with their figures, and in words what is beyond a threshold of agent.ini.

import { body, element, keyed, marked, row, setForeign, setHidden } from "./dom.js";
import { isWanted } from "./filter.js";
import { sorted } from "./table.js";
import { alarmsOf } from "./thresholds.js";
import { UNKNOWN, count, duration } from "./words.js";

const figure = (name) => (queue) => queue.figures?.[name] ?? null;

/** `text` is what stands in the cell; `figure` names a threshold's alarm, whose mark stands beside it. */
const COLUMNS = [
  { id: "name", head: "Queue", as: "name", value: (queue) => queue.name },
  { id: "waiting", head: "Waiting", value: (queue) => queue.waiting.length, text: count, figure: "waiting" },
  { id: "longest", head: "Longest", value: (queue) => queue.longest, text: duration, figure: "wait" },
  { id: "talking", head: "Talking", value: (queue) => queue.connected.length, text: count },
  { id: "free", head: "Free", value: (queue) => queue.free, text: (free, queue) => `${free} of ${queue.members.length}` },
  { id: "answered", head: "Answered", value: figure("completed"), text: count },
  { id: "abandoned", head: "Abandoned", value: figure("abandoned"), text: count },
  { id: "level", head: "Level", value: figure("service_level_percent"), text: (level) => `${count(level)}\u00a0%`, figure: "level" },
  { id: "hold", head: "Hold", value: figure("hold_seconds"), text: duration },
  { id: "talk", head: "Talk", value: figure("talk_seconds"), text: duration },
].map((column) => ({ as: "figure", down: column.id !== "name", ...column }));
const PBX = { id: "pbx", head: "PBX", as: "pbx", value: (queue) => queue.board };

export function queuesTable() {
  const made = sorted("queues", "Queues", [...COLUMNS, PBX], (queue) => queue.key, queueRows);
  return { ...made, isWanted: (queue) => isWanted([queue.name, ...queue.members.map((one) => one.name)], "", [queue.name], []) };
}

function queueRows() {
  const [name, pbx] = [element("bdi", { class: "foreign" }), element("bdi", { class: "foreign" })];
  const cells = COLUMNS.slice(1).map((column) => ({ ...column, shown: marked() }));
  const words = element("ul", { class: "alarms" });
  const node = element("td", { role: "cell", class: "words", colspan: COLUMNS.length + 1 }, words);
  const wordsRow = element("tr", { role: "row" }, node);
  const figures = row(["name", name], ...cells.map(({ as, shown }) => [as, shown.node]), ["pbx", pbx]);
  cells.forEach(({ head }, place) => figures.cells[place + 1].setAttribute("data-head", head));
  return {
    node: body(figures, wordsRow),
    update(queue) {
      const alarms = alarmsOf(queue);
      setForeign(name, queue.name);
      setForeign(pbx, queue.board);
      for (const { value, text, figure: of, shown } of cells) {
        const found = value(queue);
        shown.update(alarms.find((one) => one.figure === of)?.kind ?? "none", found === null ? UNKNOWN : text(found, queue));
      }
      const told = alarms.map(({ figure: of, kind, said, limit }) => ({ of, kind, words: `${said}, ${limit}` }));
      if (queue.waiting.length && !queue.free) told.unshift({ of: "free", kind: "warn", words: "no agent is free" });
      keyed(words, told, ({ of }) => of, alarmItem);
      setHidden(wordsRow, !told.length);
    },
  };
}

function alarmItem() {
  const shown = marked();
  return { node: element("li", {}, shown.node), update: ({ kind, words }) => shown.update(kind, words) };
}
