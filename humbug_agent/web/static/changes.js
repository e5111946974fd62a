// The document that the agent tells by what differs: how the changes make it, and what it says at a moment.

/** `document` with these changes, a JSON Patch (RFC 6902) of add, remove, replace and move. It is changed in place. */
export function changed(document, changes) {
  let whole = document;
  for (const { op, path, from, value } of changes) {
    if (path === "") whole = value;
    else if (op === "move") put(whole, path, take(whole, from));
    else if (op === "add") put(whole, path, value);
    else if (op === "remove") take(whole, path);
    else replace(whole, path, value);
  }
  return whole;
}

function put(whole, path, value) {
  const [holder, name] = place(whole, path);
  if (Array.isArray(holder)) holder.splice(Number(name), 0, value);
  else holder[name] = value;
}

function take(whole, path) {
  const [holder, name] = place(whole, path);
  if (Array.isArray(holder)) return holder.splice(Number(name), 1)[0];
  const value = holder[name];
  delete holder[name];
  return value;
}

function replace(whole, path, value) {
  const [holder, name] = place(whole, path);
  holder[name] = value;
}

function place(whole, path) {
  const names = path.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  const name = names.pop();
  return [names.reduce((value, one) => value[one], whole), name];
}

/** What it says at a moment, in seconds since the epoch: a time that runs is an object that says since when it does. */
export function asOf(value, at) {
  if (Array.isArray(value)) return value.map((one) => asOf(one, at));
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0][0] === "since") return Math.max(0, Math.round((at - value.since) * 10) / 10);
  return Object.fromEntries(entries.map(([name, one]) => [name, asOf(one, at)]));
}
