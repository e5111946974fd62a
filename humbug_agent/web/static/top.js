// What is seen first: the verdict, the title of the tab, the clock; and how a big number is made.

import { byId, element, keyed, marked, say, setAttribute, setForeign, setText } from "./dom.js";
import { UNKNOWN, clock, count, several } from "./words.js";

const LONG = 6;
const LONGEST = 8;

/** A big number with its label and a remark; it leads to `target`, if it has one. */
export function tile(id, label, target = "") {
  const value = element("span", { class: "value" }, UNKNOWN);
  const note = element("span", { class: "note" });
  const words = element("span", { class: "label" }, label);
  return {
    node: element("li", { id: `tile-${id}` }, target ? element("a", { href: target }, words, value, note) : element("div", {}, words, value, note)),
    update(text, remark, kind) {
      setText(value, text);
      setForeign(note, remark);
      setAttribute(value, "data-long", text.length >= LONGEST ? "longest" : text.length >= LONG ? "long" : "short");
      setAttribute(value, "data-kind", kind);
    },
  };
}

/** `troubles` are those of answer.js; none means that all is well. */
export function showVerdict(troubles, remark) {
  const shown = troubles.length ? troubles : [{ kind: "good", head: "All is well", words: "" }];
  setAttribute(byId("top"), "data-kind", shown[0].kind);
  keyed(byId("troubles"), shown, (one) => one.head, trouble);
  say(byId("remark"), remark);
  // Only the headings are said aloud: the words beside them may have numbers that change all the time.
  setText(byId("said"), shown.map((one) => one.head).join(". "));
}

function trouble() {
  const head = marked();
  const words = element("span", { class: "words" });
  return {
    node: element("li", {}, head.node, " ", words),
    update(one) {
      head.update(one.kind, one.head);
      setForeign(words, one.words);
    },
  };
}

export function showTitle(troubles, sums) {
  const numbers = sums ? `${several(sums.calls.length, "call")}, ${count(sums.waiting)} waiting` : "calls not known";
  const mark = troubles.length ? `\u26a0 ${troubles[0].head} - ` : "";
  const title = `${mark}${numbers} - humbug-agent`;
  if (document.title !== title) document.title = title;
}

export function showClock(now) {
  setText(byId("clock"), now ? clock(now) : "--:--:--");
}
