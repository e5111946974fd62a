// Has the agent tell what changes as it happens, and shows it; what is too old to be true is not shown.

import { asOf, changed } from "./changes.js";
import { setAttribute } from "./dom.js";
import { clock, duration } from "./words.js";

const DRAW_MS = 1000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 10000;
// The agent tells something every four seconds, and waits for its outbox for five before it says that it does not answer.
const PATIENCE_MS = 8000;
const TRUE_FOR_MS = 10000;
const EVENT = "data: ";
const HIDDEN = "nobody sees this page";
const MOVED = "this host has slept, or its clock was set";
const MOVED_MS = 2000;
/** How much earlier than it was the agent's clock may look without having been set: what is later is given up. */
const LATE_MS = PATIENCE_MS;
export const NO_BOARD = "No source that tells of calls as they happen: add one of type asterisk_ami or freeswitch_esl to agent.ini.";

// Without what may stand before the host: a URL with a password in it can't be fetched.
const STREAM = new URL("stream", location.origin + location.pathname);

/**
 * `heard` is when the agent told something last, by the clock that nobody sets, `told` the PBX's time that it told then,
 * `ahead` how far its clock is before that one, in milliseconds; `opened` is whether it has begun to answer. `moved` is how
 * far the host's own clock has run ahead since: that clock stands still while the host sleeps.
 */
const last = { document: null, heard: 0, told: "", ahead: 0, opened: false, failure: "", failures: 0, refused: false, drawn: 0, moved: 0 };
let clocksApart = Date.now() - performance.now();
let listening = null;
let timer = 0;
let view = null;
let left = false;

async function listen() {
  clearTimeout(timer);
  if (listening || last.refused || isUnseen()) return;
  listening = new AbortController();
  const { signal } = listening;
  try {
    await hear(listening);
    throw new Error("it has ended the connection");
  } catch (error) {
    const why = signal.aborted ? signal.reason : error;
    if (why !== HIDDEN && why !== MOVED) Object.assign(last, { failure: inWords(why), failures: last.failures + 1 });
  } finally {
    listening = null;
  }
  draw();
  timer = setTimeout(listen, last.failures === 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.max(0, last.failures - 1), LONGEST_WAIT_MS));
}

/** A page that nobody sees is for nobody, unless its reader is to be told of alarms. */
function isUnseen() {
  return left || (document.hidden && !view.isListening?.());
}

/** All that is told, until it ends. A browser has few connections for one host: a page that nobody sees keeps none. */
async function hear(controller) {
  const giveUp = () => controller.abort(new DOMException("", "TimeoutError"));
  let watch = setTimeout(giveUp, PATIENCE_MS);
  last.opened = false;
  try {
    const response = await fetch(STREAM, { cache: "no-store", signal: controller.signal });
    last.refused = response.status === 401 || response.status === 403;
    if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`.trim());
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw new SyntaxError();
    last.opened = true;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let first = true;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        take(JSON.parse(event.slice(EVENT.length)), first);
        first = false;
        clearTimeout(watch);
        watch = setTimeout(giveUp, PATIENCE_MS);
      }
      if (events.length) draw();
    }
  } finally {
    clearTimeout(watch);
  }
}

/** What is late on its way makes the agent's clock look slow: what comes soonest tells it best. */
function take({ now, at, changes }, first) {
  const version = last.document?.version;
  const heard = performance.now();
  const ahead = at * 1000 - heard;
  const isSet = first || ahead < last.ahead - LATE_MS;
  const document = changed(last.document, changes);
  Object.assign(last, { document, heard, told: now, ahead: isSet ? ahead : Math.max(ahead, last.ahead), failure: "", failures: 0, moved: 0 });
  // The numbers may have got another meaning with it, and the page that knows it is to be had.
  if (version && version !== document.version) location.reload();
}

function inWords(error) {
  if (error.name === "TimeoutError" && last.opened) return `nothing came for ${PATIENCE_MS / 1000} s; does a proxy hold it back?`;
  if (error.name === "TimeoutError") return `no answer within ${PATIENCE_MS / 1000} s`;
  if (error instanceof SyntaxError) return "it gives no answer that can be read";
  return error instanceof TypeError ? "it can't be reached" : error.message;
}

/** How old is what the agent told last. Whether a host slept or its clock was set shows once it can't be asked anew. */
function age(now) {
  return now - last.heard + (last.failures ? last.moved : 0);
}

/** After a sleep nobody knows what was missed, and a connection that is dead may look alive. */
function noticeMove(now) {
  const moved = Date.now() - now - clocksApart;
  clocksApart += moved;
  if (moved < MOVED_MS) return;
  last.moved += moved;
  listening?.abort(MOVED);
}

function draw() {
  const now = performance.now();
  noticeMove(now);
  const fresh = last.document && !last.refused && age(now) < TRUE_FOR_MS;
  setAttribute(document.body, "data-known", String(Boolean(fresh)));
  if (fresh) {
    const at = (now + last.ahead) / 1000;
    view.known({ ...asOf(last.document, at), now: pbxTime(at) }, now, now, remark(now));
  } else {
    view.unknown(unknownTrouble(now));
  }
  last.drawn = now;
}

/** One failure is no news on a wireless network. */
function remark(now) {
  if (last.failures < 2) return "";
  return `Trying to reach the agent: ${last.failure}. What is shown is ${duration(age(now) / 1000)} old.`;
}

/** As the PBX's clock shows it, whose distance from UTC is known. */
function pbxTime(at) {
  const offset = last.told.slice(19);
  const [hours, minutes] = offset.slice(1).split(":").map(Number);
  const seconds = (hours * 60 + minutes) * (offset[0] === "-" ? -60 : 60);
  return new Date((at + seconds) * 1000).toISOString().slice(0, 19) + offset;
}

function unknownTrouble(now) {
  if (last.refused) return { kind: "lost", head: "Not signed in", words: "Load this page again to sign in." };
  if (!last.document && !last.failures) return { kind: "wait", head: "Asking the agent", words: "" };
  const since = last.document ? `Since ${clock(last.told)}, for ${duration(age(now) / 1000)}` : "So far";
  return { kind: "lost", head: "Not live: no news from the agent", words: `${since}: ${last.failure || "no answer yet"}. Trying again.` };
}

function look() {
  if (isUnseen()) listening?.abort(HIDDEN);
  else listen();
}

/**
 * From now on `view` shows what is known: `known(answer, received, now, remark)`, the answer being what /status.json
 * would tell now, or `unknown(trouble)`. `isListening()`, where there is one, says whether it wants to know while nobody
 * sees it, too.
 */
export function follow(shown) {
  view = shown;
  // What is told draws the page; this goes on with it where nothing happens.
  setInterval(() => {
    if (!isUnseen() && performance.now() - last.drawn > DRAW_MS * 0.8) draw();
  }, DRAW_MS / 2);
  document.addEventListener("visibilitychange", look);
  // What the browser keeps for the way back listens again once it is shown.
  for (const [event, isLeft] of [["pagehide", true], ["pageshow", false]]) {
    addEventListener(event, () => {
      left = isLeft;
      look();
    });
  }
  listen();
}
