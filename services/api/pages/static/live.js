// Keeps an open page up to date, and shows times in the zone of whoever looks. Without it pages work, and are still.
"use strict";
(() => {
  const APART = 4000; // milliseconds between two loads of the page, at least
  const STALE = 60000; // and at most: that something is 3 minutes ago is not so for long
  const status = document.getElementById("live");
  const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" });
  const stamp = new Intl.DateTimeFormat("sv-SE", {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  });
  const main = () => document.querySelector("main");
  const live = main() !== null && main().hasAttribute("data-live") && "EventSource" in window;
  let shown = main() === null ? "" : main().innerHTML; // as the server wrote it
  let source = null, failures = 0, wanted = false, loading = false, last = Date.now(), timer = 0, retry = 0;

  function say(words, reload) {
    if (status === null) return;
    if (status.textContent !== words) {
      status.textContent = words;
      if (reload) {
        const again = document.createElement("a");
        again.href = location.pathname + location.search;
        again.textContent = "Reload";
        status.textContent = words + " ";
        status.append(again);
      }
    }
  }

  function local(root) {
    for (const one of root.querySelectorAll("time[datetime]")) {
      const ts = new Date(one.getAttribute("datetime"));
      if (Number.isNaN(ts.getTime()) || one.dataset.utc !== undefined) continue;
      const written = stamp.format(ts) + " " + zone.formatToParts(ts).find((part) => part.type === "timeZoneName").value;
      one.dataset.utc = "";
      if (one.classList.contains("ago")) one.title = written + " (" + one.title + ")";
      else {
        one.title = one.textContent.trim();
        one.textContent = written;
      }
    }
  }

  // Buttons that copy what stands below them are for scripts alone.
  function copyable(root) {
    for (const one of root.querySelectorAll("[data-copy]")) one.hidden = false;
  }

  async function copy(button) {
    const text = button.closest("details").querySelector("pre");
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch (error) { // none where the page does not come by https, or may not
      getSelection().selectAllChildren(text);
      if (!document.execCommand("copy")) return say("Not copied: select the text.");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 3000);
  }
  addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button !== null) copy(button);
  });

  function edited() {
    const now = document.activeElement;
    if (main().contains(now) && now.matches("input, select, textarea")) return true;
    return [...main().querySelectorAll("input, select, textarea")].some((field) => {
      if (field.type === "hidden") return false;
      if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
      if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
      const written = [...field.options].findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(written, 0);
    });
  }

  // What an element is called, so that its like can be found in the new page.
  function nameOf(one) {
    const told = ["id", "href", "name", "value", "aria-label"].map((name) => one.getAttribute(name) || "");
    return [one.tagName, ...told, one.tagName === "SUMMARY" ? one.textContent : ""].join("\n");
  }
  const FOCUSABLE = "a[href], button, summary, [tabindex]";

  function replace(fresh) {
    const old = main(), now = document.activeElement;
    const focused = old.contains(now) && now.matches(FOCUSABLE) ? nameOf(now) : null;
    const open = new Map([...old.querySelectorAll("details > summary")].map((one) => [nameOf(one), one.parentElement.open]));
    const scrolled = [...old.querySelectorAll("[tabindex]")].map((one) => [nameOf(one), one.scrollLeft, one.scrollTop]);
    const place = [scrollX, scrollY];
    shown = fresh.innerHTML;
    const made = document.importNode(fresh, true);
    for (const one of made.querySelectorAll("details > summary")) {
      const before = open.get(nameOf(one));
      if (before !== undefined) one.parentElement.open = before;
    }
    local(made);
    copyable(made);
    old.replaceWith(made);
    for (const one of made.querySelectorAll("[tabindex]")) {
      const before = scrolled.find((kept) => kept[0] === nameOf(one));
      if (before !== undefined) [one.scrollLeft, one.scrollTop] = before.slice(1);
    }
    if (focused !== null) {
      const again = [...made.querySelectorAll(FOCUSABLE)].find((one) => nameOf(one) === focused);
      if (again !== undefined) again.focus({ preventScroll: true });
    }
    scrollTo(...place);
  }

  async function load() {
    timer = 0;
    if (loading || document.hidden) return;
    loading = true;
    wanted = false;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      const away = answer.redirected && new URL(answer.url).pathname !== location.pathname;
      if (away || answer.status === 401) {
        stop();
        return say("Not live: you are signed out.", true);
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      failures = 0;
      if (fresh !== null && fresh.innerHTML !== shown) {
        // Who waited for the first exchange goes on to its route.
        const first = main().hasAttribute("data-waits") ? fresh.querySelector("a.route") : null;
        if (first !== null) return location.assign(first.getAttribute("href"));
        if (edited()) return say("Something new.", true);
        document.title = page.title;
        replace(fresh);
      }
      if (source !== null) say("Live");
    } catch (error) {
      wanted = true;
      failures += 1;
      say("Not live: the page could not be loaded again.");
    } finally {
      loading = false;
      if (wanted) soon();
      else again();
    }
  }

  function soon() {
    wanted = true;
    if (timer === 0) timer = setTimeout(load, Math.max(0, last + APART * Math.min(2 ** failures, 16) - Date.now()));
  }

  // What the server expects to change by itself in a moment.
  function again() {
    const seconds = Number(main().dataset.refresh || 0);
    if (seconds > 0 && source !== null) soon();
  }

  function concerns(data) {
    const route = main().dataset.live;
    return !route || data.routes === null || data.routes.includes(route);
  }

  function start() {
    if (source !== null || document.hidden) return;
    source = new EventSource("/live");
    source.addEventListener("ready", () => {
      failures = 0;
      say("Live");
      soon(); // something may have changed before
    });
    source.addEventListener("changed", (event) => {
      if (concerns(JSON.parse(event.data))) soon();
    });
    source.onerror = () => {
      stop();
      failures += 1;
      say("Not live: the connection is lost. This page shows what was.");
      retry = setTimeout(start, Math.min(1000 * 2 ** failures, 60000) * (0.5 + Math.random() / 2));
    };
  }

  function stop() {
    if (source !== null) source.close();
    source = null;
    clearTimeout(retry);
    clearTimeout(timer);
    timer = 0;
  }

  local(document);
  copyable(document);
  if (!live) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  setInterval(() => (source === null ? undefined : soon()), STALE);
  addEventListener("pagehide", stop);
  addEventListener("pageshow", start);
  start();
})();
