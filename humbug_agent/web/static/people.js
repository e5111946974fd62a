// How agents are, and how long something has gone on: on the desk and on the wall.

import { element, setAttribute, setText } from "./dom.js";
import { clock, duration } from "./words.js";

const AGENT_KINDS = { idle: "free", ringing: "ringing", unavailable: "lost", invalid: "lost", unknown: "lost" };

export function running() {
  const node = element("time", { class: "running" });
  return {
    node,
    update(seconds, since) {
      setText(node, duration(seconds));
      setAttribute(node, "datetime", `PT${Math.max(0, Math.floor(seconds))}S`);
      setAttribute(node, "title", since ? `since ${clock(since)}` : "");
    },
  };
}

export function agentState(member) {
  if (!member.paused) return [AGENT_KINDS[member.state] ?? "busy", member.state];
  return ["paused", member.reason ? `paused: ${member.reason}` : "paused"];
}

const AWAY = ["unavailable", "invalid", "unknown"];

/**
 * The agents of these queues, each once, with the `queues` and `penalties` that it has in them: it has taken the calls
 * of all, and is paused only where it is so in all. Those who are away stand last.
 */
export function agentsOf(queues) {
  const found = new Map();
  for (const queue of queues) {
    for (const member of queue.members) {
      const key = `${queue.board} ${member.interface}`;
      found.set(key, together(found.get(key), { ...member, key, board: queue.board, queues: [queue.name], penalties: [member.penalty] }));
    }
  }
  const away = (one) => Number(AWAY.includes(one.state) && !one.paused);
  return [...found.values()].sort((one, other) => away(one) - away(other) || called(one).localeCompare(called(other)));
}

export function called(agent) {
  return agent.name || agent.interface;
}

function together(before, member) {
  if (!before) return member;
  const shown = before.paused ? member : before;
  return {
    ...shown,
    queues: [...before.queues, ...member.queues],
    penalties: [...new Set([...before.penalties, ...member.penalties])],
    calls_taken: sumOf(before.calls_taken, member.calls_taken),
    last_call_seconds: least(before.last_call_seconds, member.last_call_seconds),
    login_seconds: most(before.login_seconds, member.login_seconds),
  };
}

// Of what is not known in one of them, that in the other is taken.
const known = (...numbers) => numbers.filter((number) => number !== null);
const sumOf = (...numbers) => (known(...numbers).length ? known(...numbers).reduce((sum, one) => sum + one) : null);
const least = (...numbers) => (known(...numbers).length ? Math.min(...known(...numbers)) : null);
const most = (...numbers) => (known(...numbers).length ? Math.max(...known(...numbers)) : null);
