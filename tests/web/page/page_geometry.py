"""What is misplaced or cut in a view, found in the browser."""

# What stands in a cell on more lines than one, and what reaches out of its cell.
MISPLACED = """
const cells = [...document.querySelectorAll("th, td")].filter(
  (node) => node.checkVisibility() && node.closest("thead")?.clientWidth !== 1
);
const lines = (node) => {
  const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  const rects = [];
  while (walk.nextNode()) {
    const range = document.createRange();
    range.selectNode(walk.currentNode);
    if (walk.currentNode.data?.trim() || walk.currentNode.matches?.("svg")) rects.push(...range.getClientRects());
  }
  const beside = (one, other) => one.top < other.bottom - 1 && other.top < one.bottom - 1;
  return rects.filter((one, place) => !rects.slice(0, place).some((other) => beside(one, other)));
};
const found = [];
for (const cell of cells) {
  const name = `${cell.closest("table").className} ${cell.className} “${cell.innerText}”`;
  const box = cell.getBoundingClientRect();
  for (const text of cell.querySelectorAll("span, bdi, time, svg")) {
    const { left, right, width } = text.getBoundingClientRect();
    if (width > 1 && (left < box.left - 0.5 || right > box.right + 0.5)) found.push(`out of its cell: ${name}`);
  }
  if (cell.scrollWidth > cell.clientWidth) found.push(`wider than its cell: ${name}`);
  const words = cell.matches(".words");
  const persons = [...cell.querySelectorAll(".person > *")].filter((one) => !one.hidden);
  for (const one of persons.length ? persons : words ? [] : [cell]) {
    if (lines(one).length > 1) found.push(`${lines(one).length} lines: ${name}`);
  }
}
return found;
"""

# What is cut off: nothing but what others chose, which the tooltip has as a whole.
CUT = """
return [...document.querySelectorAll("main *, header *")]
  .filter((node) => node.checkVisibility() && node.clientWidth > 1)
  .filter((node) => ["hidden", "clip"].includes(getComputedStyle(node).overflowX))
  .filter((node) => node.scrollWidth > node.clientWidth + 1)
  .filter((node) => !node.matches("[title]") || node.title !== node.innerText)
  .map((node) => `${node.tagName} ${node.className} “${node.innerText}”: ${node.scrollWidth} of ${node.clientWidth}`);
"""
