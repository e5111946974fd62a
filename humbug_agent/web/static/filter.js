// Which calls are shown: those with a text in them, in a state, of a queue. The address keeps it, and "back" goes back.

import { byId, element, keyed, setAttribute, setText } from "./dom.js";
import { visible } from "./words.js";

const form = byId("filter");
const fields = { text: form.elements.text, state: form.elements.state, queue: form.elements.queue };
// A queue's name may hold what must not stand in the page as it is.
const kept = { text: String, state: String, queue: encodeURIComponent };
const meant = { text: String, state: String, queue: decodeURIComponent };
const chosen = (name) => meant[name](fields[name].value);

function read() {
  const asked = new URLSearchParams(location.search);
  showQueues([]);
  for (const [name, field] of Object.entries(fields)) field.value = kept[name](asked.get(name) ?? "");
}

function address() {
  const used = Object.keys(fields).filter(chosen);
  const query = new URLSearchParams(used.map((name) => [name, chosen(name)])).toString();
  return location.pathname + (query ? `?${query}` : "");
}

/** `names` are those of the queues that there are; one that is asked for stays to be chosen, whether it is there or not. */
export function showQueues(names) {
  const asked = chosen("queue") || new URLSearchParams(location.search).get("queue") || "";
  const all = [...new Set(["", ...names, asked])];
  keyed(fields.queue, all, (name) => name, () => {
    const node = element("option");
    return {
      node,
      update(name) {
        setText(node, visible(name) || "Any queue");
        setAttribute(node, "value", kept.queue(name));
      },
    };
  });
}

export function isFiltered() {
  return Object.keys(fields).some(chosen);
}

/** `state` is how the call's state is called on the page. */
export function isWanted(call, state) {
  const [text, wanted, queue] = Object.keys(fields).map(chosen);
  const words = [call.from_name, call.from_number, call.to_name, call.to_number, call.queue, ...call.devices];
  const sought = text.trim().toLowerCase();
  return (
    (!wanted || state === wanted) &&
    (!queue || call.queue === queue) &&
    (!sought || words.some((word) => word.toLowerCase().includes(sought)))
  );
}

/** `changed` is called whenever other calls are wanted. */
export function onFilter(changed) {
  // Each letter is no place to go back to.
  fields.text.addEventListener("input", () => {
    history.replaceState(null, "", address());
    changed();
  });
  for (const field of [fields.state, fields.queue]) {
    field.addEventListener("change", () => {
      history.pushState(null, "", address());
      changed();
    });
  }
  addEventListener("popstate", () => {
    read();
    changed();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
}

read();
