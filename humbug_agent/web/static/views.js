// The way from each view to the others.

import { element } from "./dom.js";

const VIEWS = [["desk", "Desk", "./"], ["wall", "Wall", "wall"], ["delivery", "Delivery", "delivery"], ["history", "History", "history"]];

/** Which of them this one is, the page's `data-view` says. */
export function views() {
  const items = VIEWS.map(([name, label, href]) => {
    const current = name === document.body.dataset.view ? { "aria-current": "page" } : {};
    return element("li", {}, element("a", { href, ...current }, label));
  });
  return element("nav", { id: "views", "aria-label": "Views" }, element("ul", {}, ...items));
}
