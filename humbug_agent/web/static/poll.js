// Asks for /status.json once a second and has it shown; what is too old to be true is not shown.

import { setAttribute } from "./dom.js";
import { clock, duration } from "./words.js";

const EVERY_MS = 1000;
// The agent waits for its outbox for five seconds before it says that it does not answer.
const PATIENCE_MS = 8000;
const LONGEST_WAIT_MS = 10000;
const TRUE_FOR_MS = 10000;
export const NO_BOARD = "No source that tells of calls as they happen: add one of type asterisk_ami or freeswitch_esl to agent.ini.";

// Without what may stand before the host: a URL with a password in it can't be fetched.
const STATUS = new URL("status.json", location.origin + location.pathname);

/** `moved` is when the PBX's time in the answers last changed: an old answer, kept by something in between, is no news. */
const last = { answer: null, received: 0, moved: 0, failure: "", failures: 0, refused: false, drawn: 0 };
let asking = false;
let timer = 0;
let view = null;

async function ask() {
  clearTimeout(timer);
  if (asking || last.refused || isUnseen()) return;
  asking = true;
  const asked = Date.now();
  try {
    take(await fetched());
  } catch (error) {
    last.failure = inWords(error);
    last.failures += 1;
  } finally {
    asking = false;
  }
  draw();
  const wait = last.failures ? Math.min(EVERY_MS * 2 ** (last.failures - 1), LONGEST_WAIT_MS) : EVERY_MS - (Date.now() - asked);
  timer = setTimeout(ask, Math.max(0, wait));
}

/** A page that nobody sees is for nobody, unless its reader is to be told of alarms. */
function isUnseen() {
  return document.hidden && !view.isListening?.();
}

async function fetched() {
  const response = await fetch(STATUS, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  last.refused = response.status === 401 || response.status === 403;
  if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`.trim());
  return response.json();
}

function take(answer) {
  // The numbers may have got another meaning with it, and the page that knows it is to be had.
  if (last.answer && last.answer.version !== answer.version) location.reload();
  const received = Date.now();
  if (answer.now !== last.answer?.now) last.moved = received;
  Object.assign(last, { answer, received, failure: "", failures: 0 });
}

function inWords(error) {
  if (error.name === "TimeoutError") return `no answer within ${PATIENCE_MS / 1000} s`;
  if (error instanceof SyntaxError) return "it gives no answer that can be read";
  return error instanceof TypeError ? "it can't be reached" : error.message;
}

function draw() {
  const now = Date.now();
  const fresh = last.answer && !last.refused && now - last.moved < TRUE_FOR_MS;
  setAttribute(document.body, "data-known", String(Boolean(fresh)));
  if (fresh) view.known(last.answer, last.received, now, last.failures > 1 ? `Trying to reach the agent: ${last.failure}.` : "");
  else view.unknown(unknownTrouble(now));
  last.drawn = now;
}

function unknownTrouble(now) {
  if (last.refused) return { kind: "lost", head: "Not signed in", words: "Load this page again to sign in." };
  if (!last.answer && !last.failures) return { kind: "wait", head: "Asking the agent", words: "" };
  const since = last.answer ? `Since ${clock(last.answer.now)}, for ${duration((now - last.moved) / 1000)}` : "So far";
  const why = last.failure || (now - last.received < TRUE_FOR_MS ? "it gives the same old answer" : "no answer yet");
  return { kind: "lost", head: "Not live: no news from the agent", words: `${since}: ${why}. Trying again.` };
}

/**
 * From now on `view` shows what is known: `known(answer, received, now, remark)` or `unknown(trouble)`. One request that
 * fails is no news on a wireless network; from the second on it is the remark. `isListening()`, where there is one, says
 * whether it wants to know while nobody sees it, too.
 */
export function follow(shown) {
  view = shown;
  // An answer draws the page, every second; this goes on with it when none comes.
  setInterval(() => {
    if (!isUnseen() && Date.now() - last.drawn > EVERY_MS * 1.2) draw();
  }, EVERY_MS / 2);
  document.addEventListener("visibilitychange", ask);
  ask();
}
