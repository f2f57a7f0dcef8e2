// Small comforts; every page works without this file.
(() => {
  const root = document.documentElement;
  const store = (key, value) => {
    document.cookie = `${key}=${value};path=${root.dataset.base || "/"};max-age=31536000;samesite=lax`;
  };

  // Times: the server writes UTC, here they become relative and local.
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const clock = new Intl.DateTimeFormat(undefined, {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const distance = (seconds) => {
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || units[3];
    return relative.format(Math.trunc(seconds / size), unit);
  };
  const localise = () => {
    for (const time of document.querySelectorAll("time[data-as]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.title = `${full.format(at)} (${time.dateTime})`;
      const away = (at.getTime() - Date.now()) / 1000;
      const relatively = time.dataset.as === "relative" && Math.abs(away) < 604800;
      const text = relatively ? (Math.abs(away) < 1 ? "now" : distance(away)) : clock.format(at);
      if (time.textContent !== text) time.textContent = text;
    }
    for (const zone of document.querySelectorAll("[data-zone]")) {
      zone.textContent = `Times are in ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
    }
  };
  localise();
  setInterval(() => document.hidden || localise(), 1000);

  // Of tabs that do not fit, the chosen one is in sight.
  for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
    tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 16;
  }

  // Copying.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("copied");
      document.getElementById("said").textContent = "Copied";
      setTimeout(() => button.classList.remove("copied"), 1200);
    } catch {
      prompt("Copy this:", button.dataset.copy);
    }
  });

  // The theme: light, dark, or what the system says.
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "theme") return;
    event.preventDefault();
    const shown = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const next = shown === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    store("ergane_theme", next);
  });

  // Questions before what cannot be taken back.
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });

  // Keys: `/` searches, `g` and a letter goes somewhere, `j` and `k` walk rows.
  let went = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const find = document.getElementById("find");
    if (event.key === "/" && find) {
      event.preventDefault();
      find.focus();
    } else if (event.key === "g") {
      went = Date.now();
    } else if (Date.now() - went < 1000) {
      went = 0;
      document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
    } else if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll(".go, .step > summary")];
      const at = rows.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
      rows[Math.max(0, Math.min(at, rows.length - 1))]?.focus();
    }
  });

  // A link to a step opens it.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && (target.closest("details") || target.querySelector("details"));
    if (details) details.open = true;
  };
  reveal();
  addEventListener("hashchange", reveal);

  // The log, live.
  const log = document.querySelector("[data-log]");
  if (log) {
    log.scrollTop = log.scrollHeight;
    new EventSource(log.dataset.log).onmessage = ({ data }) => {
      const { time, level, message, tenant, run, step, requestId: request, fields } = JSON.parse(data);
      const part = (name, textContent) => Object.assign(document.createElement(name), { textContent });
      const all = Object.entries({ tenant, run, step, request, ...fields }).filter((it) => it[1]);
      const li = part("li", `${time} `);
      li.className = level;
      li.append(part("strong", level), ` ${message}`, ...all.map(([name, value]) => ` ${name}=${value}`));
      const low = log.scrollHeight - log.scrollTop - log.clientHeight < 9;
      log.append(li);
      if (log.children[500]) log.firstChild.remove();
      if (low) log.scrollTop = log.scrollHeight;
    };
  }

  // Live parts: none while nobody looks, and what was opened stays open.
  const opened = new Map();
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden || getSelection().toString()) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", () => {
    opened.clear();
    for (const details of document.querySelectorAll("details[id]")) opened.set(details.id, details.open);
  });
  document.addEventListener("htmx:afterSettle", () => {
    for (const [id, open] of opened) {
      const details = document.getElementById(id);
      if (details) details.open = open;
    }
    localise();
  });
})();
