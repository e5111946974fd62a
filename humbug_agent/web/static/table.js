// A table that the reader sorts by any of its columns; the address keeps by which, and the way back leads back.

import { choose, chosen, onChosen } from "./address.js";
import { capped, element, keyed, say, setAttribute, setHidden } from "./dom.js";

/** `columns` are {id, head, as}. The roles are spelt out because CSS, where it is narrow, shows rows as blocks. */
export function table(kind, caption, columns) {
  const heads = columns.map(({ head, as }) => element("th", { scope: "col", role: "columnheader", class: as }, head));
  const row = element("tr", { role: "row" }, ...heads);
  const node = element("table", { class: kind, role: "table" }, element("caption", {}, caption), element("thead", { role: "rowgroup" }, row));
  return { node, heads };
}

/**
 * A column also has `value(item)`, a number or a text by which it sorts, null for what is not known; and `down` where
 * the largest comes first at the first click. `create` makes a body of a table, whose rows are those of one item. The
 * table shows only so many items, and says so; it is there only while it has any.
 */
export function sorted(kind, caption, columns, key, create) {
  const buttons = columns.map((column) => ({ ...column, head: button(column.head, () => turn(column)) }));
  const { node, heads } = table(kind, caption, buttons);
  const more = element("p", { class: "more" });
  let items = [];

  function turn({ id, down }) {
    const [by, isDown] = order(kind);
    choose({ [kind]: (by === id ? !isDown : down) ? `-${id}` : id }, true);
  }

  function show() {
    const [by, isDown] = order(kind);
    const at = columns.findIndex(({ id }) => id === by);
    heads.forEach((head, place) => setAttribute(head, "aria-sort", place !== at ? "none" : isDown ? "descending" : "ascending"));
    const { shown, more: left } = capped(at < 0 ? items : inOrder(items, columns[at].value, isDown));
    keyed(node, shown, key, create, 2);
    setHidden(node, !shown.length);
    say(more, left);
  }

  onChosen(show);
  return {
    node: element("div", {}, node, more),
    update(found) {
      items = found;
      show();
    },
  };
}

function button(text, clicked) {
  const node = element("button", { type: "button" }, text);
  node.addEventListener("click", clicked);
  return node;
}

/** By which column, and whether the largest comes first. */
function order(kind) {
  const asked = chosen(kind);
  return asked.startsWith("-") ? [asked.slice(1), true] : [asked, false];
}

/** What is not known comes last, whichever way. */
function inOrder(items, value, isDown) {
  const known = items.filter((item) => value(item) !== null);
  const unknown = items.filter((item) => value(item) === null);
  known.sort((one, other) => compared(value(one), value(other)) * (isDown ? -1 : 1));
  return [...known, ...unknown];
}

function compared(one, other) {
  return typeof one === "number" ? one - other : one.localeCompare(other, "en", { numeric: true });
}
