// Tables of the parts of this program: how each of them is, its figures, and what it says.

import { body, element, keyed, marked, row, setForeign, setHidden, setText } from "./dom.js";
import { table } from "./table.js";
import { moment } from "./words.js";

const KINDS = { ok: "good", starting: "wait", up: "good", failing: "warn", found: "warn", paused: "bad", stopped: "bad", down: "bad", "not live": "bad" };

/** Every part has a body of its own in the table: a row of figures and, if there is something to say, one of words. */
export function partTable(kind, caption, columns, figures) {
  const heads = [{ head: "Name", as: "name" }, { head: "State", as: "state" }, ...columns.map((head) => ({ head, as: "figure" }))];
  const { node } = table(`parts ${kind}`, caption, heads);
  const before = node.children.length;
  return {
    node,
    update(parts) {
      setHidden(node, !parts.length);
      keyed(node, parts, (one) => one.name, () => partBody(columns, figures), before);
    },
  };
}

function partBody(columns, figures) {
  const name = element("bdi", { class: "foreign" });
  const state = marked();
  const values = columns.map((head) => element("td", { role: "cell", class: "figure", "data-head": head }));
  const words = element("td", { role: "cell", colspan: columns.length + 2, class: "words" });
  const wordsRow = element("tr", { role: "row" }, words);
  const figuresRow = row(["name", name], ["state", state.node]);
  figuresRow.append(...values);
  return {
    node: body(figuresRow, wordsRow),
    update(one) {
      setForeign(name, one.name);
      state.update(KINDS[one.state] ?? "warn", one.state);
      figures(one).forEach((text, place) => setText(values[place], text));
      setForeign(words, wordsOf(one));
      setHidden(wordsRow, !wordsOf(one));
    },
  };
}

function wordsOf(one) {
  const before = one.last_error_outdated ? ", before agent.ini was read" : "";
  const failed = one.last_error && `${moment(one.last_error_at, one.now)}${before}: ${one.last_error}`;
  if (!failed) return one.message;
  return one.message && one.message !== one.last_error ? `${one.message}. Last error ${failed}` : `Last error ${failed}`;
}
