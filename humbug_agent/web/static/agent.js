// How the agent fares: boards, sources, destinations, outbox, and what was sent in the last hour.

import { body, byId, drawing, element, keyed, marked, row, say, setAttribute, setForeign, setHidden, setText, table } from "./dom.js";
import { UNKNOWN, age, bigCount, bytes, clock, count, megabytes, moment, several } from "./words.js";

const KINDS = { ok: "good", starting: "wait", up: "good", failing: "warn", paused: "bad", stopped: "bad", down: "bad", "not live": "bad" };
const TALL = 24;

const boards = partTable("boards", "Boards", ["Over", "Last full look"], boardFigures);
const sources = partTable("sources", "Sources", ["Read ago", "Unread", "Calls", "Rejects"], sourceFigures);
const destinations = partTable("destinations", "Destinations", ["Waiting", "Oldest", "Sent", "Dead"], destinationFigures);
const charts = element("div", { class: "charts" });
const outbox = element("p", { class: "outbox" });

byId("agent-parts").append(
  element("div", {}, destinations.node, charts),
  element("div", {}, sources.node, boards.node, outbox),
);

/** `answer` is null when nothing is known; `unknown` then says why. */
export function showAgent(answer, unknown) {
  say(byId("agent-empty"), unknown || agentUnknown(answer));
  setHidden(byId("agent-parts"), !answer);
  if (!answer) return;
  const agent = answer.agent.error ? { sources: {}, destinations: {} } : answer.agent;
  const named = (parts) => Object.entries(parts).map(([name, one]) => ({ name, now: answer.now, ...one }));
  boards.update(answer.boards.map((board) => ({ ...board, state: board.live ? "up" : board.trouble ? "not live" : "down" })));
  sources.update(named(agent.sources));
  destinations.update(named(agent.destinations));
  keyed(charts, Object.entries(answer.sent_per_minute), ([name]) => name, chart);
  say(outbox, agent.outbox ? outboxInWords(agent) : "");
}

function agentUnknown({ agent }) {
  return agent.error ? `The agent's state is not known: ${agent.error}` : "";
}

function outboxInWords(agent) {
  const { used_bytes: used, max_bytes: most } = agent.outbox;
  const kept = `${several(agent.calls, "call")} and ${several(agent.rejects, "reject")}`;
  const untaken = agent.untaken ? ` No destination takes ${several(agent.untaken, "call")}, the last is ${agent.last_untaken}.` : "";
  return `Outbox: ${kept} in ${megabytes(used)} of ${megabytes(most)} MB.${untaken} Looked up at ${clock(agent.as_of)}.`;
}

/** Every part has a body of its own in the table: a row of figures and, if there is something to say, one of words. */
function partTable(kind, caption, columns, figures) {
  const heads = [["Name", "name"], ["State", "state"], ...columns.map((head) => [head, "figure"])];
  const node = table(`parts ${kind}`, caption, heads);
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
  const node = body();
  const figuresRow = row(["name", name], ["state", state.node]);
  figuresRow.append(...values);
  node.append(figuresRow, wordsRow);
  return {
    node,
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

function boardFigures(board) {
  return [board.over, board.age_seconds === null ? "never" : `${age(board.age_seconds)} ago`];
}

function sourceFigures(source) {
  const read = source.age_seconds === null ? "never" : age(source.age_seconds);
  return [read, unreadWords(source), bigCount(source.calls), bigCount(source.rejects)];
}

function unreadWords(source) {
  if (source.unread_seconds) return `${age(source.unread_seconds)} of calls`;
  if (source.unread_seconds === 0) return "0";
  return source.unread_bytes === null ? UNKNOWN : bytes(source.unread_bytes);
}

function destinationFigures(one) {
  const oldest = one.oldest_waiting_seconds;
  return [bigCount(one.waiting), oldest === null ? UNKNOWN : age(oldest), bigCount(one.sent), bigCount(one.dead)];
}

/** Sixty bars; a minute of which nothing is known is a gap of another kind than one in which nothing was sent. */
function chart() {
  const title = element("bdi");
  const sums = element("span");
  const bars = drawing("svg", { class: "bars", role: "img", viewBox: `0 0 60 ${TALL}`, preserveAspectRatio: "none" });
  const ends = element("p", { class: "ends", "aria-hidden": "true" }, element("span", {}, "an hour ago"), element("span", {}, "now"));
  return {
    node: element("figure", {}, element("figcaption", {}, "Sent per minute to ", title, ": ", sums), bars, ends),
    update([name, minutes]) {
      const known = minutes.filter((sent) => sent !== null);
      const most = Math.max(0, ...known);
      const words = chartInWords(known, most, minutes.length);
      setForeign(title, name);
      setText(sums, words);
      setAttribute(bars, "aria-label", words);
      keyed(bars, minutes.map((sent, place) => ({ sent, place, most })), ({ place }) => place, bar);
    },
  };
}

function chartInWords(known, most, minutes) {
  const sum = known.reduce((total, sent) => total + sent, 0);
  const unknown = minutes - known.length;
  const said = `${count(sum)} in the last hour, at most ${count(most)}`;
  return unknown ? `${said}; ${several(unknown, "minute")} before the agent started not known` : said;
}

function bar() {
  const node = drawing("rect", { width: 0.8 });
  return {
    node,
    update({ sent, place, most }) {
      const high = sent === null ? TALL : sent ? Math.max(1.5, (sent / most) * TALL) : 0.4;
      setAttribute(node, "class", sent === null ? "unknown" : sent ? "sent" : "none");
      setAttribute(node, "x", String(place + 0.1));
      setAttribute(node, "y", (TALL - high).toFixed(2));
      setAttribute(node, "height", high.toFixed(2));
    },
  };
}
