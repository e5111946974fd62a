// Which rows are shown: those with a text in them, in a state, of a queue.

import { choose, chosen, onChosen } from "./address.js";
import { byId, element, keyed, setAttribute, setText } from "./dom.js";
import { visible } from "./words.js";

const form = byId("filter");
const fields = { text: form.elements.text, state: form.elements.state, queue: form.elements.queue };
// A queue's name may hold what must not stand in the page as it is.
const kept = { text: String, state: String, queue: encodeURIComponent };
const meant = { text: String, state: String, queue: decodeURIComponent };

function read() {
  showQueues([]);
  for (const [name, field] of Object.entries(fields)) {
    const value = kept[name](chosen(name));
    if (field.value !== value) field.value = value;
  }
  setAttribute(form, "data-used", String(isFiltered()));
}

/** `names` are those of the queues that there are; one that is asked for stays to be chosen, whether it is there or not. */
export function showQueues(names) {
  const all = [...new Set(["", ...names, chosen("queue")])];
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

/** `words` are what is to be found in a row, `queues` those that it is of; `states` are all that such a row may be in. */
export function isWanted(words, state, queues, states) {
  const [sought, wanted, queue] = [chosen("text").trim().toLowerCase(), chosen("state"), chosen("queue")];
  return (
    (!wanted || state === wanted || !states.includes(wanted)) &&
    (!queue || queues.includes(queue)) &&
    (!sought || words.some((word) => word.toLowerCase().includes(sought)))
  );
}

for (const [name, field] of Object.entries(fields)) {
  // Each letter is no place to go back to.
  const typed = name === "text";
  field.addEventListener(typed ? "input" : "change", () => choose({ [name]: meant[name](field.value) }, !typed));
}
form.addEventListener("submit", (event) => event.preventDefault());
onChosen(read);
read();
