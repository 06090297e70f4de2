// What is wrong with a page for somebody who cannot see well, or not at all: a list of sentences, best empty.
(() => {
  const wrong = [];
  const say = (what, one) => wrong.push(one ? `${what}: ${one.outerHTML.slice(0, 160)}` : what);
  const all = (selector) => [...document.querySelectorAll(selector)];

  if (document.documentElement.lang !== "en") say("no language");
  if (!document.title.trim()) say("no title");
  // Where there is but one part, there is nothing to choose from.
  const navs = all("nav").length;
  if (navs > 1 || (navs === 0 && all("section").length > 1)) say(`${navs} times nav`);
  for (const tag of ["main", "h1", "footer"]) if (all(tag).length !== 1) say(`${all(tag).length} times ${tag}`);
  for (const one of all("body > *")) if (!one.matches("main, footer, script")) say("outside of all landmarks", one);
  let level = 0;
  for (const one of all("h1, h2, h3, h4, h5, h6")) {
    const now = Number(one.tagName[1]);
    if (now > level + 1) say("a level of headings is left out", one);
    if (!one.textContent.trim()) say("an empty heading", one);
    level = now;
  }

  const ids = all("[id]").map((one) => one.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) say(`twice the id ${id}`);
  for (const one of all("[aria-labelledby]"))
    if (!document.getElementById(one.getAttribute("aria-labelledby"))) say("named by nothing", one);
  for (const one of all("section")) if (!one.hasAttribute("aria-labelledby")) say("a region without a name", one);
  for (const one of all("a[href^='#']")) if (!document.getElementById(one.hash.slice(1))) say("leads nowhere", one);
  for (const one of all("th")) if (!["col", "row"].includes(one.scope)) say("a head of nothing", one);
  for (const table of all("table"))
    for (const row of table.rows)
      if (row.cells.length !== table.tHead.rows[0].cells.length) say("other cells than the head", row);
  for (const one of all("dl > *, dl > div > *")) if (!one.matches("div, dt, dd")) say("no part of a list", one);
  const keys = all("details").map((one) => one.dataset.key);
  if (new Set(keys).size !== keys.length) say("two details with the same key");

  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const brightness = ([red, green, blue]) => {
    const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const behind = (one) => {
    const colour = parts(getComputedStyle(one).backgroundColor);
    return colour.length === 3 ? colour : colour[3] === 1 ? colour.slice(0, 3) : behind(one.parentElement);
  };
  const contrast = (one, pseudo) => {
    const ink = parts(getComputedStyle(one, pseudo).color);
    if (ink.length > 3) say("ink that one can see through", one);
    const [dark, bright] = [brightness(ink), brightness(behind(one))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  let least = Infinity;
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(one) || !one.checkVisibility()) continue;
    seen.add(one);
    least = Math.min(least, contrast(one));
    if (contrast(one) < 4.5) say(`a contrast of ${contrast(one).toFixed(2)}`, one);
    if (getComputedStyle(one, "::before").content !== "none" && contrast(one, "::before") < 4.5) say("a pale label", one);
    if (parseFloat(getComputedStyle(one).fontSize) < 12) say("tiny letters", one);
  }
  if (seen.size < 5) say("nothing is seen");

  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) say(`${wide} pixels in a window of ${innerWidth}`);
  return { wrong, texts: seen.size, least };
})()
