// The story of one call, in a dialog: its channels of now, and what of it is over.

import { body, element, keyed, row, say, setForeign, setText } from "./dom.js";
import { count, duration, visible } from "./words.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 10000;
const JOURNEY = new URL("journey.json", location.origin + location.pathname);

const title = element("h2", { class: "foreign", id: "journey-title" });
const close = element("button", { type: "button" }, "Close");
const legs = element("ul", { class: "legs", "aria-label": "Channels now" });
const empty = element("p", { class: "empty", role: "status" });
const rows = body();
const HEADS = [["time", "After"], ["from", "From"], ["to", "To"], ["was", "Was"], ["time talked", "Talked"], ["application", "Application"]];
const heads = HEADS.map(([as, head]) => element("th", { scope: "col", role: "columnheader", class: as }, head));
const table = element("table", { class: "story", role: "table" }, element("caption", {}, "What is over"), element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)), rows);
const dialog = element("dialog", { id: "journey", "aria-labelledby": "journey-title" }, element("header", {}, title, close), legs, empty, element("div", { class: "over", tabindex: "0", role: "region", "aria-label": "What is over" }, table));
document.body.append(dialog);
close.addEventListener("click", () => dialog.close());

let timer = 0;
dialog.addEventListener("close", () => clearInterval(timer));

/**
 * A click on `node`, a row, or Enter opens the journey of the call that `shown()` is then: one of /status.json. Of all
 * rows one is reached by the tabulator, and the others from there by arrows. To be called when rows may have moved: what
 * it returns.
 */
export function leadsToJourney(node, shown) {
  node.className = "leads";
  node.title = "All of this call's story: click, or Enter";
  node.addEventListener("click", () => open(shown));
  node.addEventListener("keydown", (event) => {
    const act = { Enter: () => open(shown), ArrowDown: () => beside(node, 1)?.focus(), ArrowUp: () => beside(node, -1)?.focus() }[event.key];
    if (!act) return;
    // Enter would press the button that has the focus by then, and an arrow scroll.
    event.preventDefault();
    act();
  });
  const reach = () => {
    const wanted = node === document.activeElement || node === rowsLike(node)[0] ? 0 : -1;
    if (node.tabIndex !== wanted) node.tabIndex = wanted;
  };
  // Once all rows stand where they belong.
  return () => queueMicrotask(reach);
}

/** All rows of its table that lead somewhere: each has a body of its own. */
function rowsLike(node) {
  return [...(node.closest("table")?.querySelectorAll(".leads") ?? [])];
}

function beside(node, step) {
  const all = rowsLike(node);
  return all[all.indexOf(node) + step];
}

function open(shown) {
  const call = shown();
  setForeign(title, `${call.from_name || call.from_number || "not known"} \u2192 ${call.to_name || call.to_number || "not known"}`);
  rows.replaceChildren();
  table.hidden = true;
  say(empty, "Asking the agent \u2026");
  showLegs(call);
  timer = setInterval(() => showLegs(shown()), EVERY_MS);
  dialog.showModal();
  ask(call.id);
}

function showLegs(call) {
  keyed(legs, call.legs.map((leg, place) => ({ ...leg, place })), ({ place }) => place, () => {
    const [device, rest] = [element("bdi", { class: "foreign" }), element("span", { class: "detail" })];
    return {
      node: element("li", {}, device, rest),
      update(leg) {
        const who = [leg.name, leg.number].filter(Boolean).join(" ");
        setForeign(device, who ? `${leg.device}: ${who}` : leg.device);
        setText(rest, visible([leg.state, leg.application, duration(leg.seconds)].filter(Boolean).join(", ")));
      },
    };
  });
}

async function ask(id) {
  const asked = new URL(JOURNEY);
  asked.searchParams.set("id", id);
  try {
    const response = await fetch(asked, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    showOver(await response.json());
  } catch (error) {
    say(empty, `What of it is over is not known: ${error.message}`);
  }
}

function showOver(journey) {
  table.hidden = !journey.calls.length;
  say(empty, journey.calls.length ? journey.note : "Nothing of it is over yet, as far as the PBX has told.");
  rows.replaceChildren(...journey.calls.map((call) => row(
    ["time", element("span", {}, duration(call.after_seconds))],
    ["from", foreign(call.src)],
    ["to", foreign(call.dstchannel ? `${call.dst} (${call.dstchannel})` : call.dst)],
    ["was", element("span", {}, `${visible(call.disposition.toLowerCase())} after ${count(call.duration - call.billsec)} s`)],
    ["time talked", element("span", {}, duration(call.billsec))],
    ["application", foreign(call.lastapp)],
  )));
}

function foreign(text) {
  const node = element("bdi", { class: "foreign" });
  setForeign(node, text);
  return node;
}
