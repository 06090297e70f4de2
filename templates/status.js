(() => {
  const live = document.getElementById("live");
  const told = document.getElementById("told");
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Set([...document.querySelectorAll("details[open]")].map((one) => one.dataset.key));
      const focused = document.activeElement && document.activeElement.id;
      const now = page.getElementById("live");
      for (const one of now.querySelectorAll("details")) if (open.has(one.dataset.key)) one.open = true;
      live.replaceChildren(...now.childNodes);
      document.title = page.title;
      if (focused) document.getElementById(focused)?.focus();
      told.textContent = "Live: this page follows every pass.";
    } catch { told.textContent = "reconcile does not answer; what you see may be old."; }
    busy = false;
    if (again) { again = false; refresh(); }
  };
  const events = new EventSource("events");
  events.addEventListener("pass", refresh);
  events.onopen = refresh;
  events.onerror = () => { told.textContent = "reconcile does not answer; what you see may be old."; };
})();
