// Live messages: they appear at the top while the reader is there, and wait above
// otherwise.
import { number, typing } from "./page.js";
import "./saved.js";

const feed = document.getElementById("feed");
const fresh = document.getElementById("fresh");
const pause = document.getElementById("pause");
const state = document.getElementById("state");
const sampled = document.getElementById("sampled");
const spoken = document.getElementById("spoken");
const pulse = document.getElementById("pulse");

const shownRows = 100; // on the page
const waitingRows = 300; // above it
const aSecond = 6; // rows that a reader can follow
let waiting = [];
let paused = false;
let arrived = []; // times, of the last minute
let nth = 0;
let unspoken = 0;

const two = (n) => String(n).padStart(2, "0");
const glosses = {};
for (const li of document.querySelectorAll("[data-category]")) {
  const a = li.querySelector("a");
  glosses[li.dataset.category] = [li.querySelector(".about").firstChild.textContent.trim(), a.querySelector("svg").getAttribute("class")];
}

function element(name, attributes, text) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

// Characters that would not be seen, or would turn what stands around them.
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const clip = (s) => s.length > 400 ? s.slice(0, 400) + "…" : s;
const visible = (s) => clip(s).replace(hidden, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
const bare = /^[A-Za-z0-9_.@+-]+$/;
const quoted = (s) => bare.test(s) && !/^[<>]/.test(s) ? s : '"' + s.replace(/["\\]/g, "\\$&") + '"';

function row(entry) {
  const m = entry.message;
  const when = new Date(m.timestamp * 1000);
  const service = m.topic.split(".")[3] || "";
  const li = element("li", { class: "row new", id: "m-" + m.msg_id });
  li.append(element("time", { datetime: when.toISOString(), class: "clock", title: when.toISOString().slice(0, 19).replace("T", " ") + " UTC" },
    [when.getUTCHours(), when.getUTCMinutes(), when.getUTCSeconds()].map(two).join(":")), " ");
  const from = feed.dataset.line ? "?q=" + encodeURIComponent(feed.dataset.line) : ""; // to go on from there in what is shown here
  const say = element("a", { class: "say", href: "/messages/" + encodeURIComponent(m.msg_id) + from });
  say.append(element("bdi", {}, visible((entry.meta && entry.meta.subtitle) || m.topic)));
  li.append(say, " ");
  const [about, hue] = glosses[service] || [service, "c11"];
  const term = "category:" + quoted(service);
  li.append(element("a", { class: "cat " + hue, href: "/history?q=" + encodeURIComponent(term), "data-term": term, title: about }, visible(service) || "none"), " ");
  const agent = entry.meta && entry.meta.agent;
  if (agent) {
    const who = "agent:" + quoted(agent);
    const a = element("a", { class: "who", href: "/history?q=" + encodeURIComponent(who), "data-term": who });
    a.append(element("bdi", {}, visible(agent)));
    li.append(a);
  }
  return li;
}

function count(service) {
  const li = [...document.querySelectorAll("[data-category]")].find((l) => l.dataset.category === service);
  if (!li) return;
  const n = li.querySelector(".n");
  const now = Number(n.textContent.replace(/\D/g, "")) + 1;
  n.textContent = number(now);
}

const reading = () => paused || scrollY > feed.getBoundingClientRect().top + scrollY - 40 || feed.contains(document.activeElement) || feed.matches(":hover");

function release() {
  const rows = waiting.splice(0);
  feed.prepend(...rows.reverse());
  while (feed.children.length > shownRows) feed.lastElementChild.remove();
  fresh.hidden = true;
  document.getElementById("nothing")?.remove();
  document.querySelector(".nothing")?.remove();
}

function arrive(entry) {
  if (document.getElementById("m-" + entry.message.msg_id)) return; // it was here when the page was made
  const now = Date.now();
  arrived.push(now);
  count(entry.message.topic.split(".")[3] || "");
  const recent = arrived.filter((t) => t > now - 3000).length / 3;
  const every = Math.max(1, Math.ceil(recent / aSecond));
  sampled.textContent = every > 1 ? `showing 1 in ${every}` : "";
  unspoken++;
  if (nth++ % every) return;
  waiting.push(row(entry));
  if (waiting.length > waitingRows) waiting.shift();
}

// Rows come in twice a second at most, so that the eye can follow.
setInterval(() => {
  if (!waiting.length) return;
  if (!reading()) return release();
  fresh.hidden = false;
  fresh.textContent = `${number(waiting.length)}${waiting.length >= waitingRows ? " and more" : ""} new`;
}, 400);

// How many come, as soon as that can be told: of the last minute, or of less if it is
// not yet one.
setInterval(() => {
  const now = Date.now();
  arrived = arrived.filter((t) => t > now - 60000);
  const long = Math.min(now - begun, 60000);
  if (!open || paused || long < 15000) return;
  state.textContent = `connected, ${number(Math.round(arrived.length * 60000 / long))} a minute`;
}, 1000);

setInterval(() => {
  if (unspoken && !paused) spoken.textContent = `${unspoken} new messages. ${feed.querySelector(".say")?.textContent || ""}`;
  unspoken = 0;
}, 20000);

fresh.addEventListener("click", () => {
  release();
  feed.querySelector(".say")?.focus({ preventScroll: true });
  feed.scrollIntoView({ block: "nearest" });
  document.activeElement.blur();
});

function toggle() {
  paused = !paused;
  pause.setAttribute("aria-pressed", paused);
  pause.textContent = paused ? "Go on" : "Pause";
  state.textContent = paused ? "paused" : "";
  if (!paused && waiting.length && scrollY < feed.offsetTop) release();
}
pause.addEventListener("click", toggle);
document.addEventListener("keydown", (e) => {
  if (e.key !== " " || typing(e) || e.target.closest("button, summary, a, dialog, pre") && e.target !== document.body && !e.target.closest(".row")) return;
  e.preventDefault();
  toggle();
});

// The stream. A browser comes back by itself, with the ID of the last event, so that
// nothing is missing; but not if it was answered with an error: then we do.
let open = false;
let begun = 0;
let last = "";
let stream = null;
let wait = 1000;

function connect() {
  const to = new URL(feed.dataset.stream, location.href);
  if (last) to.searchParams.set("after", last);
  stream = new EventSource(to);
  stream.addEventListener("open", () => {
    open = true;
    wait = 1000;
    begun = Date.now();
    arrived = [];
    pulse.classList.remove("cut");
    if (!paused) state.textContent = "connected: new messages come by themselves";
  });
  stream.addEventListener("error", () => {
    open = false;
    pulse.classList.add("cut");
    state.textContent = "reconnecting";
    if (stream.readyState !== EventSource.CLOSED) return;
    setTimeout(connect, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, 60000);
  });
  stream.addEventListener("message", (e) => {
    last = e.lastEventId || last;
    try {
      arrive(JSON.parse(e.data));
    } catch { /* not one of ours */ }
  });
  stream.addEventListener("gap", () => {
    const li = element("li", { class: "row" });
    li.append(element("time", {}), element("a", { class: "say", href: "/history" }, "Some messages are missing here: they are in the history."));
    waiting.push(li);
  });
}
connect();
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
