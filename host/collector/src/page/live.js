(() => {
  "use strict";
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
