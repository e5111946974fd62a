// How agents are, and how long something has gone on: on the page and on the wall.

import { element, setAttribute, setText } from "./dom.js";
import { age, clock, duration, several } from "./words.js";

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

/** What it has done since it came into the queue; the penalty only where it has one. */
export function agentInWords(member) {
  const last = member.last_call_seconds === null ? "" : `last ${age(member.last_call_seconds)} ago`;
  const login = member.login_seconds === null ? "" : `here for ${age(member.login_seconds)}`;
  const penalty = member.penalty ? `penalty ${member.penalty}` : "";
  return [several(member.calls_taken ?? 0, "call"), last, login, penalty].filter(Boolean).join(", ");
}

export function agentState(member) {
  if (!member.paused) return [AGENT_KINDS[member.state] ?? "busy", member.state];
  return ["paused", member.reason ? `paused: ${member.reason}` : "paused"];
}
