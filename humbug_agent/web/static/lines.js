// Trunks and phones: which are there, and which are not.

import { body, element, marked, row, setForeign, setText } from "./dom.js";
import { sorted } from "./table.js";
import { UNKNOWN, age, count } from "./words.js";

const MOST_NAMED = 20;
const COLUMNS = [
  { id: "name", head: "Trunk", as: "name", value: (trunk) => trunk.id },
  { id: "state", head: "State", as: "state", value: (trunk) => trunk.state },
  { id: "channels", head: "Channels", as: "figure", value: (trunk) => trunk.channels, down: true },
  { id: "pbx", head: "PBX", as: "pbx", value: (trunk) => trunk.board },
];
const KINDS = new Map([[true, "good"], [false, "bad"], [null, "wait"]]);

export function trunksTable() {
  return sorted("trunks", "Trunks", COLUMNS, (trunk) => trunk.key, trunkRow);
}

/** Of all boards that tell of any: {trunks, registered, all, missing, lacks, age}; null if none does. */
export function linesOf(boards) {
  const told = boards.filter((board) => board.live && board.lines);
  if (!told.length) return null;
  const phones = told.map(({ lines }) => lines.phones).filter(Boolean);
  const sum = (values) => values.reduce((all, one) => all + one, 0);
  return {
    trunks: told.flatMap(({ name, lines }) => lines.trunks.map((one) => ({ ...one, board: name, key: `${name} ${one.id}` }))),
    registered: phones.length ? sum(phones.map((one) => one.registered)) : null,
    all: phones.length && phones.every((one) => one.all !== null) ? sum(phones.map((one) => one.all)) : null,
    missing: phones.flatMap((one) => one.missing),
    lacks: [...new Set(told.flatMap(({ lines }) => lines.lacks))],
    age: Math.max(...told.map(({ lines }) => lines.age_seconds)),
  };
}

/** What the tile says: the trunks that are up, or how many are not. */
export function trunksTile(lines) {
  if (!lines) return [UNKNOWN, "not told", "none"];
  const watched = lines.trunks.filter((one) => one.up !== null);
  const down = watched.filter((one) => !one.up);
  const up = watched.length - down.length;
  if (down.length) return [count(up), `${count(down.length)} of ${count(lines.trunks.length)} down`, "warn"];
  const phones = lines.registered === null ? "" : `, ${phonesInWords(lines)}`;
  return [count(up), `of ${count(lines.trunks.length)}${phones}`, up ? "some" : "none"];
}

function phonesInWords({ registered, all }) {
  return all === null ? `${count(registered)} phones` : `${count(registered)} of ${count(all)} phones`;
}

/** What stands below the table: phones, those that are missing, and what is not known. */
export function linesInWords(lines) {
  if (!lines) return ["The PBX has not told of its trunks and phones."];
  const { registered, all, missing, lacks } = lines;
  const said = registered === null ? [] : [`Registered: ${phonesInWords(lines)}, asked for ${age(lines.age)} ago.`];
  const left = (all ?? registered ?? 0) - (registered ?? 0) - Math.min(missing.length, MOST_NAMED);
  if (missing.length) said.push(`Missing: ${missing.slice(0, MOST_NAMED).join(", ")}${left > 0 ? ` and ${count(left)} more` : ""}.`);
  return [...said, ...lacks.map((lack) => `${lack}.`)];
}

function trunkRow() {
  const [name, pbx] = [1, 2].map(() => element("bdi", { class: "foreign" }));
  const [state, channels] = [marked(), element("span")];
  const cells = row(["name", name], ["state", state.node], ["figure", channels], ["pbx", pbx]);
  channels.parentElement.setAttribute("data-head", "Channels");
  return {
    node: body(cells),
    update(trunk) {
      setForeign(name, trunk.id);
      state.update(KINDS.get(trunk.up), trunk.state);
      setText(channels, trunk.channels === null ? UNKNOWN : count(trunk.channels));
      setForeign(pbx, trunk.board);
    },
  };
}
