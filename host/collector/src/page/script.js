(() => {
  "use strict";
  // Times in the zone of the reader, with UTC in the title.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const local = (time) => {
    const two = (number) => String(number).padStart(2, "0");
    return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  };
  const localise = (root) => {
    if (zone === "UTC") return;
    for (const element of root.querySelectorAll("time[datetime]")) {
      const time = new Date(element.dateTime);
      if (!Number.isFinite(time.getTime())) continue;
      if (element.title) element.title = `${local(time)} · ${element.title}`;
      else { element.title = element.textContent; element.textContent = local(time); }
    }
  };
  localise(document);
  const note = document.getElementById("zone");
  if (note && zone !== "UTC") note.textContent = `times are of ${zone}, days and charts of UTC`;

  // `/` goes to the search, `j` and `k` to the next and the previous row.
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      const field = document.querySelector("input[type=search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    } else if (event.key === "j" || event.key === "k") {
      const rows = Array.from(document.querySelectorAll("main tbody th a:first-child"));
      const place = rows.indexOf(document.activeElement);
      const next = event.key === "j" ? place + 1 : Math.max(place - 1, 0);
      rows[Math.min(next, rows.length - 1)]?.focus();
    }
  });

  // The time between two updates of the page without an event: ages grow.
  const MINUTE = 60_000;
  const region = document.getElementById("live");
  const sign = document.getElementById("live-sign");
  if (!region || !region.dataset.events) return;

  let source = null;
  let asking = false;
  let again = false;

  const show = (on) => { if (sign) sign.hidden = !on; };

  // The reader keeps a selection, the focus, and unfolded parts.
  const replace = (fresh) => {
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && region.contains(selection.anchorNode)) return;
    const active = document.activeElement;
    const focused = active && region.contains(active) ? active.getAttribute("href") : null;
    const open = Array.from(region.querySelectorAll("details[open][id]"), (element) => element.id);
    const nodes = Array.from(fresh.childNodes, (node) => document.importNode(node, true));
    region.replaceChildren(...nodes);
    localise(region);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) Array.from(region.querySelectorAll("a")).find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
    if (!fresh.dataset.events) stop();
  };

  const ask = () => {
    if (asking) { again = true; return; }
    asking = true;
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.timeout = 10_000;
    request.onload = () => {
      const fresh = request.status === 200 && request.response && request.response.getElementById("live");
      if (fresh) replace(fresh);
    };
    request.onloadend = () => {
      asking = false;
      if (again) { again = false; ask(); }
    };
    request.send();
  };

  // A browser has six connections for a server: hidden tabs close theirs.
  const start = () => {
    if (source || document.hidden) return;
    source = new EventSource(region.dataset.events);
    source.onopen = () => show(true);
    source.onerror = () => show(false);
    source.addEventListener("changed", ask);
  };
  const pause = () => { if (source) source.close(); source = null; show(false); };
  const visible = () => { if (document.hidden) pause(); else { start(); ask(); } };
  const ticking = setInterval(() => { if (!document.hidden) ask(); }, MINUTE);
  function stop() {
    clearInterval(ticking);
    document.removeEventListener("visibilitychange", visible);
    pause();
  }
  document.addEventListener("visibilitychange", visible);
  start();
})();
