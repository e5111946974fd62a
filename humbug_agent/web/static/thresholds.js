// Which figures of a queue are beyond the thresholds of agent.ini; board/settings.py judges by the same rules.

import { count, duration } from "./words.js";

/** What marks and colours call it, by how bad it is. */
const KINDS = ["none", "warn", "bad"];
export const SAID = { warn: "warning", bad: "critical" };

/** Of one who waits. */
export function waitKind(seconds, { warn_wait: warn, critical_wait: critical }) {
  return kindOf(seconds, warn, critical);
}

function kindOf(figure, warn, critical) {
  if (critical && figure >= critical) return "bad";
  return warn && figure >= warn ? "warn" : "none";
}

/** Of a queue as `lookAt` gives it: {figure, kind, said, limit} for each figure that is beyond its threshold. */
export function alarmsOf({ thresholds, waiting, longest, figures }) {
  const number = waiting.length;
  const found = [
    alarm("waiting", kindOf(number, thresholds.warn_waiting, thresholds.critical_waiting), `${count(number)} waiting`, thresholds, count),
    alarm("wait", waitKind(longest, thresholds), `longest wait ${duration(longest)}`, thresholds, duration),
  ];
  const level = figures?.service_level_percent ?? null;
  if (level !== null && level < thresholds.target) {
    const said = `service level ${Math.floor(level)}\u00a0%`;
    found.push({ figure: "level", kind: "warn", said, limit: `target ${thresholds.target}\u00a0%` });
  }
  return found.filter(({ kind }) => kind !== "none");
}

function alarm(figure, kind, said, thresholds, inWords) {
  const limit = thresholds[`${kind === "bad" ? "critical" : "warn"}_${figure}`];
  return { figure, kind, said, limit: `${SAID[kind]} from ${inWords(limit)} on` };
}

export function worst(kinds) {
  return KINDS[Math.max(0, ...kinds.map((kind) => KINDS.indexOf(kind)))];
}

export function isWorse(kind, other) {
  return KINDS.indexOf(kind) > KINDS.indexOf(other);
}

export function hasThresholds({ thresholds }) {
  return Object.values(thresholds).some(Boolean);
}
