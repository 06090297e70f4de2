(() => {
  const live = document.getElementById("live");
  const told = document.getElementById("told");
  const icon = () => document.querySelector("link[rel=icon]");
  const tell = (words) => { if (told.textContent !== words) told.textContent = words; };
  const stale = () => tell("reconcile does not answer; what you see may be old.");
  // What has the focus, found again after its element was replaced.
  const place = (one) => {
    if (!live.contains(one)) return null;
    const within = one.closest("details")?.dataset.key;
    if (one.matches("summary")) return { within, part: "summary" };
    if (one.matches("a")) return { within, part: `a[href="${CSS.escape(one.getAttribute("href"))}"]` };
    return one.id ? { part: `#${CSS.escape(one.id)}` } : null;
  };
  const find = ({ within, part }) =>
    (within ? [...live.querySelectorAll("details")].find((one) => one.dataset.key === within) : live)?.querySelector(part);
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = page.getElementById("live");
      const were = new Map([...live.querySelectorAll("details")].map((one) => [one.dataset.key, one.open]));
      for (const one of now.querySelectorAll("details")) one.open = were.get(one.dataset.key) ?? one.open;
      const focused = place(document.activeElement);
      live.replaceChildren(...now.childNodes);
      if (focused) find(focused)?.focus({ preventScroll: true });
      document.title = page.title;
      icon().href = page.querySelector("link[rel=icon]").href;
      tell(`This page follows every pass. Now: ${live.querySelector(".state").textContent}.`);
    } catch { stale(); }
    busy = false;
    if (again) { again = false; refresh(); }
  };
  const events = new EventSource("events");
  events.addEventListener("pass", refresh);
  events.onopen = refresh;
  events.onerror = stale;
})();
