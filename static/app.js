// Small comforts; every page works without this file.
(() => {
const root = document.documentElement, chosen = root.dataset;
const by = (id) => document.getElementById(id);
const one = (selector) => document.querySelector(selector);
const every = (selector, within = document) => [...within.querySelectorAll(selector)];
const on = (name, act) => document.addEventListener(name, act);

// Times: the server writes UTC, here they become local.
const timeZone = chosen.times ? "UTC" : undefined;
const relative = new Intl.RelativeTimeFormat("en", { style: "narrow" });
const clock = new Intl.DateTimeFormat(undefined, {
	day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZone,
});
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const distance = (seconds) => {
	const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || units[3];
	return relative.format(Math.trunc(seconds / size), unit);
};
const localise = () => {
	for (const time of every("time[data-as]")) {
		const at = new Date(time.dateTime), away = (at - Date.now()) / 1000;
		time.title = `${clock.format(at)} (${time.dateTime})`;
		const near = time.dataset.as === "relative" && Math.abs(away) < 604800;
		const text = near ? (Math.abs(away) < 1 ? "now" : distance(away)) : clock.format(at);
		if (time.textContent !== text) time.textContent = text;
	}
	one("[data-zone]")?.replaceChildren(`Times are in ${clock.resolvedOptions().timeZone}.`);
};
localise();
setInterval(localise, 1000);

// The chosen tab is in sight.
for (const tab of every(".tabs [aria-current]"))
	tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 16;

// Copying; a menu closes when something else is pressed.
on("click", async (event) => {
	for (const menu of every(".menu[open]")) menu.open = menu.contains(event.target);
	const button = event.target.closest("[data-copy]");
	if (!button) return;
	event.preventDefault();
	try {
		await navigator.clipboard.writeText(button.dataset.copy);
		button.classList.add("copied");
		by("said").textContent = "Copied";
		setTimeout(() => button.classList.remove("copied"), 1200);
	} catch {
		prompt("Copy this:", button.dataset.copy);
	}
});

// Questions before what cannot be taken back; a dark system is switched to light first.
on("submit", (event) => {
	const ask = event.submitter?.dataset.ask, { id, theme } = event.target;
	if (ask && !confirm(ask)) event.preventDefault();
	if (id === "theme" && !chosen.theme && matchMedia("(prefers-color-scheme: dark)").matches) theme.value = "light";
});

// Keys, unless turned off.
let went = 0;
const walk = (by) => {
	const rows = every(".go, .step > summary"), at = rows.indexOf(document.activeElement) + by;
	rows[Math.max(0, Math.min(at, rows.length - 1))]?.focus();
};
const keys = {
	"/": () => by("find").focus(),
	"?": () => by("shortcuts").togglePopover(),
	c: () => one(".api .copy")?.click(),
	e: () => one("[data-press=e]")?.click(),
	g: () => (went = Date.now()),
	j: () => walk(1),
	k: () => walk(-1),
};
on("keydown", (event) => {
	const { key, target } = event;
	if (key === "Escape") for (const menu of every(".menu[open]")) menu.open = false;
	if (event.ctrlKey || event.metaKey || event.altKey) return;
	if (target.closest("input, textarea, select")) {
		if (key === "Escape") target.blur();
	} else if (!chosen.keys && by("find")) {
		if (key === "/") event.preventDefault();
		if (Date.now() - went < 1000) one(`[data-key="${CSS.escape(key)}"]`)?.click(went = 0);
		else keys[key]?.();
	}
});

// A link to a step opens it.
const reveal = () => {
	const at = by(decodeURIComponent(location.hash.slice(1)));
	(at?.closest("details") || at?.querySelector("details"))?.setAttribute("open", "");
};
reveal();
addEventListener("hashchange", reveal);

// Live: one stream tells when to ask for what changes.
const mark = by("mark"), news = by("news");
const part = () => one("#live[hx-get]"), look = () => part() && htmx.trigger(part(), "moved");
let source, held, missed;
const say = (word) => (mark.dataset.state = mark.lastElementChild.textContent = word);
const listen = () => {
	source?.close();
	mark.hidden = !part();
	if (held) say("Paused");
	if (held || mark.hidden || document.hidden) return;
	source = new EventSource(chosen.pulse);
	source.onmessage = look;
	source.onopen = () => {
		say("Live");
		if (missed) look();
		missed = false;
	};
	source.onerror = () => {
		missed = true;
		say("Reconnecting");
		if (source.readyState > 1) setTimeout(listen, 9000);
	};
};
const again = () => listen(missed = true);
if (mark) {
	addEventListener("pageshow", listen);
	on("visibilitychange", again);
	mark.onclick = () => again(held = !held);
	news.onclick = () => look(scrollTo(0, 0));
}

// What is typed, marked or open stays, and no row jumps.
const rows = (within) => every("#live .go", within).map((row) => row.getAttribute("href"));
const busy = "#live :is(input, textarea, select):focus, #live .menu[open]";
let opened, focused;
on("htmx:beforeRequest", (event) => {
	if (event.target.id !== "live") return;
	if (document.hidden || held || one(busy) || `${getSelection()}`) event.preventDefault();
});
on("htmx:beforeSwap", ({ target, detail }) => {
	if (target.id !== "live") return;
	const known = rows(), next = new DOMParser().parseFromString(detail.serverResponse, "text/html");
	const count = rows(next).filter((row) => !known.includes(row)).length;
	detail.shouldSwap &&= !count || scrollY < 120;
	news.hidden = detail.shouldSwap;
	news.textContent = `${count} new, show`;
	focused = document.activeElement.closest("#live .go")?.getAttribute("href");
	opened = every("#live details[id]").map(({ id, open }) => [id, open]);
});
on("htmx:afterSettle", () => {
	opened?.forEach(([id, open]) => by(id) && (by(id).open = open));
	if (focused) one(`#live .go[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
	opened = focused = null;
	localise();
	if (mark && !part()) listen();
});
})();
