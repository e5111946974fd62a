// What the reader has chosen stands in the address, so that it can be a bookmark, and "back" goes back.

const listeners = [];

export function chosen(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

/** `values` are new ones by name, an empty one is none. `step`: it is a place to go back to. */
export function choose(values, step) {
  const asked = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value) asked.set(name, value);
    else asked.delete(name);
  }
  const query = asked.toString();
  history[step ? "pushState" : "replaceState"](null, "", location.pathname + (query ? `?${query}` : "") + location.hash);
  tell();
}

/** `changed` is called whenever something else is chosen, here or by the way back. */
export function onChosen(changed) {
  listeners.push(changed);
}

function tell() {
  for (const changed of listeners) changed();
}

addEventListener("popstate", tell);
