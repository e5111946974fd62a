// What every view begins with: which views there are, how things stand, what time it is at the PBX.

import { byId, element, keyed, marked, say, setAttribute, setForeign, setText } from "./dom.js";
import { views } from "./views.js";
import { clock, count, several, visible } from "./words.js";

byId("top").append(
  element("h1", {}, "humbug-agent ", element("span", { class: "label", id: "version" })),
  views(),
  element("section", { id: "verdict", "aria-label": "How things stand" }, element("ul", { id: "troubles" }), element("p", { id: "remark" })),
  element("p", { class: "clock" }, element("span", { class: "label", id: "clock-label" }, "PBX time"), " ", element("time", { id: "clock" })),
  element("p", { class: "unseen", role: "status", id: "said" }),
);

/** `answer` is that of the agent, null where nothing is known; `troubles` are those of answer.js, none if all is well. */
export function showTop(answer, troubles, sums, remark) {
  showVerdict(troubles, remark);
  showTitle(troubles, sums);
  setText(byId("clock"), answer ? clock(answer.now) : "--:--:--");
  setText(byId("version"), answer ? visible(answer.version) : "");
}

/** The wall has room for two; the view of deliveries has them all. */
function showVerdict(troubles, remark) {
  const most = document.body.dataset.view === "wall" ? 2 : troubles.length;
  const shown = troubles.length ? troubles.slice(0, most) : [{ kind: "good", head: "All is well", words: "" }];
  if (troubles.length > most) shown.push({ kind: troubles[most].kind, head: `and ${count(troubles.length - most)} more`, words: "" });
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

/** `sums` has the numbers of calls and of those who wait, or is null. */
function showTitle(troubles, sums) {
  const numbers = sums ? `${several(sums.calls, "call")}, ${count(sums.waiting)} waiting` : "calls not known";
  const mark = troubles.length ? `\u26a0 ${troubles[0].head} - ` : "";
  const title = `${mark}${numbers} - humbug-agent`;
  if (document.title !== title) document.title = title;
}
