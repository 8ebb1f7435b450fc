// Completion in the search box: keys first, then values from the archive.
const box = document.getElementById("q");
const fields = { user: "user", agent: "agent", package: "package", pkg: "package", category: "category", service: "category", topic: "topic", object: "object" };
const keys = ["user:", "package:", "category:", "topic:", "agent:", "object:", "body.", "text:", "verified:", "after:", "before:", "on:"];
const times = ["1h", "1d", "1w", "30d", "today", "yesterday"];
const list = document.createElement("ul");
list.id = "complete";
list.setAttribute("role", "listbox");
list.hidden = true;
box.after(list);
for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": "complete", "aria-autocomplete": "list" })) box.setAttribute(name, value);

let chosen = -1;
let asked = 0;
let timer = 0;

const word = () => {
  const end = box.selectionStart;
  const start = box.value.lastIndexOf(" ", end - 1) + 1;
  return { start, end, text: box.value.slice(start, end) };
};

function close() {
  list.hidden = true;
  chosen = -1;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

function show(found) {
  list.replaceChildren(...found.map(({ text, note }, i) => {
    const li = document.createElement("li");
    li.id = "complete-" + i;
    li.setAttribute("role", "option");
    const bdi = document.createElement("bdi");
    bdi.textContent = text;
    li.append(bdi);
    if (note) {
      const span = document.createElement("span");
      span.className = "muted";
      span.textContent = note;
      li.append(span);
    }
    li.addEventListener("pointerdown", (e) => { e.preventDefault(); take(i); });
    return li;
  }));
  list.hidden = !found.length;
  chosen = -1;
  box.setAttribute("aria-expanded", String(found.length > 0));
}

function mark(i) {
  const all = [...list.children];
  if (!all.length) return;
  chosen = (i + all.length) % all.length;
  all.forEach((li, j) => li.setAttribute("aria-selected", String(j === chosen)));
  all[chosen].scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", all[chosen].id);
}

function take(i) {
  const { start, end } = word();
  const text = list.children[i].querySelector("bdi").textContent;
  const more = /[:.]$/.test(text);
  box.setRangeText(text + (more ? "" : " "), start, end, "end");
  box.focus();
  close();
  if (more) ask();
}

const quoted = (s) => /^[^\s"(),:\\<>]+$/.test(s) ? s : '"' + s.replace(/["\\]/g, "\\$&") + '"';

async function ask() {
  const turn = ++asked;
  const { text } = word();
  const minus = text.startsWith("-") ? "-" : "";
  const rest = text.slice(minus.length);
  const colon = rest.indexOf(":");
  if (!rest || rest.includes('"')) return close();
  if (colon < 0) {
    const found = keys.filter((k) => k.startsWith(rest.toLowerCase())).map((k) => ({ text: minus + k, note: "" }));
    if (rest.length > 1) {
      for (const [field, terms] of await Promise.all(["package", "user", "category"].map(async (f) => [f, await values(f, rest, 4)]))) {
        for (const t of terms) found.push({ text: `${minus}${field}:${quoted(t.name)}`, note: t.n });
      }
    }
    if (turn === asked) show(found);
    return;
  }
  const key = rest.slice(0, colon).toLowerCase();
  const prefix = rest.slice(colon + 1);
  if (["after", "since", "before", "until", "on"].includes(key)) {
    return show(times.filter((t) => t.startsWith(prefix)).map((t) => ({ text: `${minus}${key}:${t}`, note: "" })));
  }
  if (!fields[key]) return close();
  const terms = await values(fields[key], prefix, 10);
  if (turn === asked) show(terms.map((t) => ({ text: `${minus}${key}:${quoted(t.name)}`, note: t.n })));
}

const counted = (t) => ({ name: t.name, n: String(t.n).replace(/\B(?=(\d{3})+$)/g, "\u202f") });

async function fetchTerms(field, prefix, limit) {
  try {
    const answer = await fetch(`/api/v1/terms?field=${field}&prefix=${encodeURIComponent(prefix)}&limit=${limit}`);
    return answer.ok ? (await answer.json()).terms.map(counted) : [];
  } catch {
    return [];
  }
}

// Topics are asked for from their fourth word on, and known from their first.
let topics = null;
async function values(field, prefix, limit) {
  if (field !== "topic") return fetchTerms(field, prefix, limit);
  topics ??= await fetchTerms(field, "", 1000);
  return topics.map((t) => ({ ...t, name: t.name.split(".").slice(3).join(".") || t.name })).filter((t) => t.name.startsWith(prefix)).slice(0, limit);
}

box.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, 120);
});
box.addEventListener("blur", close);
box.addEventListener("keydown", (e) => {
  if (e.key === "Escape") {
    if (list.hidden) box.blur();
    else { close(); e.preventDefault(); }
    return;
  }
  if (list.hidden) return;
  if (e.key === "ArrowDown") mark(chosen + 1);
  else if (e.key === "ArrowUp") mark(chosen - 1);
  else if ((e.key === "Enter" || e.key === "Tab") && chosen >= 0) take(chosen);
  else return;
  e.preventDefault();
});
