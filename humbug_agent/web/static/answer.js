// What an answer of /status.json means now: durations that go on, sums, and what is wrong.

import { alarmsOf, worst } from "./thresholds.js";
import { count, megabytes, several } from "./words.js";

const SAME_START_MS = 2000;
const NEARLY_FULL = 0.9;
const MOST_NAMED = 3;
const begins = new Map();

/**
 * When it began, in milliseconds of the clock that stream.js goes by. An answer that took longer on its way makes it look later; the
 * earliest of them is kept, so that no duration ever runs backwards.
 */
function began(key, seconds, received) {
  const found = received - seconds * 1000;
  const before = begins.get(key);
  const kept = before !== undefined && Math.abs(before - found) < SAME_START_MS ? Math.min(before, found) : found;
  begins.set(key, kept);
  return kept;
}

/** The boards with `running` seconds on every call, as it is at `now`. */
export function lookAt(answer, received, now) {
  const used = new Set();
  const timed = (kind) => (one) => {
    const key = [kind, one.id, one.since ?? one.entered].join(" ");
    used.add(key);
    return { ...one, running: (now - began(key, one.seconds, received)) / 1000 };
  };
  const boards = answer.boards.map((board) => lookAtBoard(board, timed));
  for (const key of begins.keys()) if (!used.has(key)) begins.delete(key);
  return boards;
}

function lookAtBoard(board, timed) {
  const queues = board.queues.map((queue) => {
    const waiting = queue.waiting.map(timed(`${board.name} waits ${queue.name}`));
    const connected = queue.connected.map(timed(`${board.name} talks ${queue.name}`));
    const free = queue.members.filter((member) => member.state === "idle" && !member.paused).length;
    const members = queue.members.map((member) => lookAtMember(member, timed(`${board.name} agent ${queue.name}`)));
    const key = `${board.name} ${queue.name}`;
    return { ...queue, board: board.name, key, waiting, connected, members, free, longest: longestOf(waiting) };
  });
  const limits = new Map(queues.map((queue) => [queue.name, queue.thresholds]));
  const calls = board.calls.map(timed(`${board.name} call`)).map((call) => {
    return { ...lookAtCall(call, board.name, timed), thresholds: limits.get(call.queue) };
  });
  return { ...board, calls, queues };
}

/** With `wait`, the seconds that it waits or has waited in its queue, null where that is not known or it is in none. */
function lookAtCall(call, board, timed) {
  const key = `${board} ${call.id}`;
  if (call.waiting_seconds === null) return { ...call, board, key, wait: call.waited_seconds };
  const { running: wait } = timed(`${board} in ${call.queue}`)({ id: call.id, since: call.queue, seconds: call.waiting_seconds });
  return { ...call, board, key, wait };
}

/** Since when it is as it is, is not known of what was so before the agent listened. */
function lookAtMember(member, timed) {
  if (member.state_seconds === null) return { ...member, running: null };
  const shown = member.paused ? "paused" : member.state;
  return timed({ ...member, id: member.interface, since: shown, seconds: member.state_seconds });
}

function longestOf(waiting) {
  return waiting.reduce((longest, call) => Math.max(longest, call.running), 0);
}

/** Over all boards that are live; null if none is, for then nothing is known. */
export function sumsOf(boards) {
  const live = boards.filter((board) => board.live);
  if (!live.length) return null;
  const calls = live.flatMap((board) => board.calls);
  return { calls: calls.length, waiting: live.flatMap((board) => board.queues).flatMap((queue) => queue.waiting).length };
}

/**
 * What is wrong, worst first: kind, a heading without numbers that run, and the words that came with it. `queues`, as
 * `lookAt` gives them, are those whose alarms are of concern.
 */
export function troublesOf(answer, queues = []) {
  const down = answer.boards.filter((board) => !board.live);
  const unreachable = down.filter((board) => !board.trouble).map((board) => board.name);
  const found = [...down.map(boardTrouble), ...agentTroubles(answer.agent, unreachable), ...queueTroubles(queues)];
  return found.sort((one, other) => (one.kind === "bad" ? 0 : 1) - (other.kind === "bad" ? 0 : 1));
}

/** One for all queues that are as bad: what is beyond its threshold stands with its figure. */
function queueTroubles(queues) {
  const bad = queues.map((queue) => ({ name: queue.name, kind: worst(alarmsOf(queue).map((one) => one.kind)) }));
  return [["bad", "Critical"], ["warn", "Warning"]]
    .map(([kind, word]) => ({ kind, word, names: [...new Set(bad.filter((one) => one.kind === kind).map((one) => one.name))] }))
    .filter(({ names }) => names.length)
    .map(({ kind, word, names }) => ({ kind, head: `${word}: ${fewOf(names)}`, words: "" }));
}

/** Their number stands first, where it is seen whatever the names are: these may be cut. */
function fewOf(names) {
  if (names.length <= MOST_NAMED) return names.join(", ");
  return `${count(names.length)} queues: ${names.slice(0, MOST_NAMED).join(", ")} \u2026`;
}

/** In a few words why a board is not live. */
export function troubleOf(board) {
  return board.trouble || `${board.over} is down`;
}

function boardTrouble(board) {
  return { kind: "bad", head: `${troubleOf(board)}: ${board.name}`, words: board.message };
}

/** A source over the same connection has the same trouble; it is not told twice. */
function agentTroubles(agent, down) {
  if (agent.error) return [{ kind: "bad", head: "The agent's state is not known", words: agent.error }];
  const found = agent.running ? [] : [{ kind: "bad", head: "The agent is not running", words: "" }];
  for (const [name, one] of Object.entries(agent.destinations)) found.push(...destinationTroubles(name, one));
  for (const [name, one] of Object.entries(agent.sources)) {
    if (!down.includes(name)) found.push(...sourceTroubles(name, one));
  }
  for (const one of agent.findings) found.push({ kind: "warn", head: one.code, words: one.message });
  return [...found, ...outboxTroubles(agent.outbox)];
}

function destinationTroubles(name, one) {
  const found = partTroubles("Destination", name, one);
  if (one.dead) {
    const head = `Destination ${name} refused calls for good`;
    found.push({ kind: "warn", head, words: `${several(one.dead, "dead delivery", "dead deliveries")}, kept for replay` });
  }
  return found;
}

function sourceTroubles(name, one) {
  if (one.state === "ok" && one.message) return [{ kind: "warn", head: `Source ${name}`, words: withCode(one) }];
  return partTroubles("Source", name, one);
}

function partTroubles(part, name, one) {
  if (["ok", "starting", "removed"].includes(one.state)) return [];
  const head = `${part} ${name} is ${one.state}`;
  return [{ kind: one.state === "failing" ? "warn" : "bad", head, words: withCode(one) }];
}

/** What `humbug-agent doctor` calls it, once it calls it something. */
function withCode(one) {
  return one.code ? `${one.message} [${one.code}]` : one.message;
}

function outboxTroubles(outbox) {
  const share = outbox.used_bytes / outbox.max_bytes;
  if (share < NEARLY_FULL) return [];
  const words = `${megabytes(outbox.used_bytes)} of ${megabytes(outbox.max_bytes)} MB`;
  if (share < 1) return [{ kind: "warn", head: "The outbox is nearly full", words }];
  return [{ kind: "bad", head: "The outbox is full: reading waits", words }];
}
