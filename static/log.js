// The log, live; the page shows the newest lines without it.
(() => {
  const log = document.querySelector("[data-log]");
  if (!log) return;
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
})();
