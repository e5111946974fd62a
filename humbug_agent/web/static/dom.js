// Changing the page where it differs and nowhere else, so that nothing flickers and focus, scrolling and selection stay.

import { visible } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
export const MOST_ROWS = 100;

export function byId(id) {
  return document.getElementById(id);
}

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.firstChild?.nodeType !== Node.TEXT_NODE) node.textContent = text;
  else if (node.firstChild.data !== text) node.firstChild.data = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** A paragraph that is there only while it says something. */
export function say(node, text) {
  setText(node, visible(text));
  setHidden(node, !text);
}

/** Text that others chose: it can't leave its box, and the tooltip has what is cut off. */
export function setForeign(node, text) {
  const shown = visible(text);
  setText(node, shown);
  setAttribute(node, "title", shown);
}

const shownRows = new WeakMap();

/**
 * Make the children of `parent`, after the first `fixed`, those of `items`. `create()` returns {node, update(item)}; an
 * item whose `key` was there before keeps its node.
 */
export function keyed(parent, items, key, create, fixed = 0) {
  const rows = shownRows.get(parent) ?? new Map();
  shownRows.set(parent, rows);
  const wanted = new Map(items.map((item) => [key(item), item]));
  for (const [name, row] of rows) {
    if (wanted.has(name)) continue;
    row.node.remove();
    rows.delete(name);
  }
  let place = parent.children[fixed] ?? null;
  for (const [name, item] of wanted) {
    const row = rows.get(name) ?? create();
    rows.set(name, row);
    row.update(item);
    if (row.node === place) place = place.nextElementSibling;
    else parent.insertBefore(row.node, place);
  }
}

/** A shape, a colour and a word: none of them tells it alone. */
export function marked() {
  const use = drawing("use");
  const word = element("span", { class: "word" });
  const shape = drawing("svg", { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true" }, use);
  const node = element("span", { class: "marked" }, shape, word);
  return {
    node,
    update(kind, text) {
      setAttribute(node, "data-kind", kind);
      setAttribute(use, "href", `#mark-${kind}`);
      setForeign(word, text);
    },
  };
}

/** A name, and below it number and country, as far as they are known. */
export function person() {
  const name = element("bdi", { class: "foreign called" });
  const detail = element("bdi", { class: "foreign detail" });
  return {
    node: element("span", { class: "person" }, name, detail),
    update(called, number, ...more) {
      setForeign(name, called || number || "not known");
      const rest = [called && number !== called ? number : "", ...more].filter(Boolean).join(" · ");
      setForeign(detail, rest);
      setHidden(detail, !rest);
    },
  };
}

export function body(...rows) {
  return element("tbody", { role: "rowgroup" }, ...rows);
}

/** `cells` are [class, node]; which of them says what the row is about, its class tells. */
export function row(...cells) {
  return element("tr", { role: "row" }, ...cells.map(([as, content]) => cell(as, content)));
}

function cell(as, content) {
  if (as !== "from" && as !== "name") return element("td", { role: "cell", class: as }, content);
  return element("th", { role: "rowheader", scope: "row", class: as }, content);
}

/** As many rows as are quick, and how many are not shown. */
export function capped(items) {
  const left = items.length - MOST_ROWS;
  return { shown: left > 0 ? items.slice(0, MOST_ROWS) : items, more: left > 0 ? `and ${left} more` : "" };
}
