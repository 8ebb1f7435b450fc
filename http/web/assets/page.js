// What all pages have: keys, times that go on, the pulse, copying.
document.documentElement.classList.add("scripted");

export const typing = (e) => e.target.closest && e.target.closest("input, textarea, select, [contenteditable]");
export const line = () => new URLSearchParams(location.search).get("q")?.trim() || "";

const thin = "\u202f";
export const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, thin);

// When something was, as the server writes it.
function ago(ms) {
  const s = Math.floor((Date.now() - ms) / 1000);
  if (s < -60) return null;
  if (s < 1) return "now";
  if (s < 60) return `${s}\u00a0s\u00a0ago`;
  if (s < 3600) return `${Math.floor(s / 60)}\u00a0min\u00a0ago`;
  if (s < 86400) return `${Math.floor(s / 3600)}\u00a0h\u00a0ago`;
  return null;
}

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
export function localTitle(time) {
  if (zone === "UTC" || time.dataset.local) return;
  time.dataset.local = "1";
  time.title += `\n${local.format(new Date(time.dateTime))} ${zone}`;
}
document.addEventListener("pointerover", (e) => {
  const time = e.target.closest && e.target.closest("time");
  if (time) localTitle(time);
});
setInterval(() => {
  for (const time of document.querySelectorAll("time.ago")) {
    const text = ago(Date.parse(time.dateTime));
    if (text && text !== time.textContent) time.textContent = text;
  }
}, 1000);

// The pulse.
const pulse = document.getElementById("pulse");
export function drawPulse(p) {
  if (!p.known) return;
  pulse.querySelector("polyline").setAttribute("points", p.points);
  pulse.querySelector("b").textContent = number(p.per_minute);
}
async function beat() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/pulse");
    if (!answer.ok) throw new Error(answer.status);
    drawPulse(await answer.json());
    pulse.classList.remove("cut");
  } catch {
    pulse.classList.add("cut");
  }
}
setInterval(beat, 20000);

// Snippets can be copied.
if (navigator.clipboard) {
  for (const pre of document.querySelectorAll(".snippet pre, .listen pre")) {
    const button = document.createElement("button");
    button.className = "copy";
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    pre.parentElement.classList.add("snippet");
    pre.before(button);
  }
}

// On a small screen what narrows a search waits behind its button.
const facets = document.getElementById("facets");
if (facets && matchMedia("(max-width: 700px)").matches) facets.open = false;

// A menu closes when one looks elsewhere.
document.addEventListener("click", (e) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(e.target)) menu.open = false;
});

// Values of a body show what can be done with them when they have the focus.
export function goTo(term, without) {
  const here = ["/", "/history"].includes(location.pathname) ? location.pathname : "/history";
  let q = here === location.pathname ? line() : "";
  const other = without ? term : "-" + term;
  const made = without ? (term.startsWith("-") ? term.slice(1) : "-" + term) : term;
  const parts = q ? [q] : [];
  if (q.split(" ").includes(made)) return;
  if (q.split(" ").includes(other)) parts[0] = q.split(" ").filter((p) => p !== other).join(" ");
  location.href = here + "?q=" + encodeURIComponent([...parts, made].join(" ").trim());
}
for (const leaf of document.querySelectorAll(".leaf[data-path]")) {
  const show = () => {
    document.querySelector(".leaf-tools")?.remove();
    const tools = document.createElement("span");
    tools.className = "leaf-tools";
    for (const [text, act] of [["without", () => goTo(leaf.dataset.term, true)], ["copy path", () => navigator.clipboard?.writeText("body." + leaf.dataset.path)]]) {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = text;
      b.addEventListener("click", act);
      tools.append(b);
    }
    leaf.after(tools);
  };
  leaf.addEventListener("focus", show);
  leaf.addEventListener("pointerenter", show);
}

// Keys.
const help = document.getElementById("help");
function step(by) {
  const all = [...document.querySelectorAll(".row a.say")].filter((a) => a.offsetParent);
  if (!all.length) return;
  const here = document.activeElement.closest && document.activeElement.closest(".row");
  const at = all.findIndex((a) => here && here.contains(a));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
  next.focus();
  next.closest(".row").scrollIntoView({ block: "nearest" });
}
// On the page of a message: along the first of its ways, which is that of the search that
// one came from.
function turn(to) {
  const walk = document.querySelector(".walks li");
  if (!walk) return false;
  walk.querySelector("a." + to)?.click();
  return true;
}
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || typing(e) || help.open) return;
  switch (e.key) {
    case "/": document.getElementById("q").focus(); document.getElementById("q").select(); break;
    case "j": turn("older") || step(1); break;
    case "k": turn("newer") || step(-1); break;
    case "?": help.showModal(); break;
    case "f":
    case "x": {
      const at = document.activeElement;
      const term = at.dataset.term || at.closest(".row")?.querySelector("[data-term]")?.dataset.term || at.closest("li")?.querySelector("[data-term]")?.dataset.term;
      if (!term) return;
      goTo(term, e.key === "x");
      break;
    }
    default: return;
  }
  e.preventDefault();
});

import("./complete.js");
