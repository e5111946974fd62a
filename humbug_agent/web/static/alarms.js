// Telling a reader who looks elsewhere that a queue needs somebody: a sound and a notification, both off until switched on.

import { byId, element, setAttribute, setHidden, setText } from "./dom.js";
import { alarmsOf, hasThresholds, isWorse } from "./thresholds.js";
import "./top.js";
import { visible } from "./words.js";

/** A figure that goes to and fro about its threshold is told of at most so often, unless it gets worse. */
const QUIET_MS = 60000;
const TONES = [[880, 0], [660, 0.22], [880, 0.44]];
const TONE_SECONDS = 0.18;

const switches = { sound: offered("Sound", startSound), notify: offered("Notify", mayNotify) };
const told = new Map();
let audio = null;
let begun = false;

const group = element("div", { id: "switches", role: "group", "aria-label": "Tell me of alarms by", hidden: "" });
group.append(...Object.values(switches).map(({ node }) => node));
byId("top").append(group);
for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, wakeSound);
wakeSound();

/** Whether somebody is to be told, also while nobody sees the page. */
export function isListening() {
  return Object.values(switches).some(({ isOn }) => isOn());
}

/** `queues` are all that are shown, each with a `key`. What stands at first is seen, and not told of. */
export function tellOf(queues) {
  setHidden(group, !queues.some(hasThresholds));
  const found = queues.flatMap((queue) => alarmsOf(queue).map((one) => ({ ...one, queue: queue.name, key: `${queue.key} ${one.figure}` })));
  const news = found.filter(isNews);
  const now = performance.now();
  for (const one of news) told.set(one.key, { kind: one.kind, at: now });
  if (begun && news.length) {
    if (switches.sound.isOn()) ring();
    if (switches.notify.isOn()) news.forEach(notify);
  }
  for (const [key, { at }] of told) if (!found.some((one) => one.key === key) && now - at > QUIET_MS) told.delete(key);
  begun = true;
}

function isNews({ key, kind }) {
  return !told.has(key) || isWorse(kind, told.get(key).kind);
}

/** A button that is kept pressed in this browser; `start` says, at the click, why it can't be: blank where it can. */
function offered(name, start) {
  const kept = `humbug-agent ${name}`;
  const node = element("button", { type: "button", class: "switch" }, name);
  const set = (on) => {
    setAttribute(node, "aria-pressed", String(on));
    localStorage.setItem(kept, on ? "on" : "off");
  };
  node.addEventListener("click", async () => {
    const on = node.getAttribute("aria-pressed") === "true";
    const trouble = on ? "" : await start();
    set(!on && !trouble);
    setText(node, trouble ? `${name}: ${trouble}` : name);
  });
  set(localStorage.getItem(kept) === "on");
  return { node, isOn: () => node.getAttribute("aria-pressed") === "true" };
}

async function startSound() {
  ring();
  return "";
}

/** Browsers let a page sound only once its reader has touched it, or the one before it; until then the button says so. */
function wakeSound() {
  if (!switches.sound.isOn()) return;
  audio ??= new AudioContext();
  audio.onstatechange = sayWhetherItSounds;
  audio.resume();
  sayWhetherItSounds();
}

function sayWhetherItSounds() {
  const isMute = switches.sound.isOn() && audio.state !== "running";
  setText(switches.sound.node, isMute ? "Sound: touch this page first" : "Sound");
}

function ring() {
  audio ??= new AudioContext();
  audio.resume();
  for (const [pitch, after] of TONES) {
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    const at = audio.currentTime + after;
    tone.frequency.value = pitch;
    // Without a slope at its ends a tone cracks.
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.3, at + 0.02);
    volume.gain.linearRampToValueAtTime(0, at + TONE_SECONDS);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + TONE_SECONDS);
  }
}

async function mayNotify() {
  if (!window.isSecureContext || !window.Notification) return "needs https";
  return (await Notification.requestPermission()) === "granted" ? "" : "not allowed by the browser";
}

/** Of two pages in one browser the second one's takes the place of the first one's. */
function notify({ key, kind, queue, said, limit }) {
  new Notification(`${visible(queue)}: ${said}`, { body: limit, tag: key, requireInteraction: kind === "bad" });
}
