// What this browser remembers for its reader: searches with names, and which profile
// the pages begin with. It never leaves the browser.
const store = {
  read(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? otherwise;
    } catch {
      return otherwise; // it is switched off, or somebody else's
    }
  },
  write(key, value) {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};

// A page that nobody asked for anything in particular begins with the remembered profile.
const profileKey = "fedmsg.profile";
const remember = document.getElementById("remember");
if (remember) {
  const chosen = document.querySelector("[data-profile][aria-current]")?.dataset.profile;
  const kept = store.read(profileKey, null);
  const start = typeof kept === "string" && [...document.querySelectorAll("[data-profile]")].find((a) => a.dataset.profile === kept);
  if (start && start.dataset.profile !== chosen && location.search === "") location.replace(start.href);
  remember.parentElement.hidden = !chosen;
  remember.checked = kept !== null && kept === chosen;
  remember.addEventListener("change", () => store.write(profileKey, remember.checked ? chosen : null));
}

// Saved searches.
const searchesKey = "fedmsg.searches";
const most = 100;
const place = document.getElementById("saved");
const address = (q) => "/history?q=" + encodeURIComponent(q);
const isSearch = (s) => s && typeof s.name === "string" && typeof s.q === "string" && s.name.length <= 200 && s.q.length <= 4096;
const searches = () => {
  const list = store.read(searchesKey, []);
  return Array.isArray(list) ? list.filter(isSearch).slice(0, most) : [];
};

function element(name, attributes, ...inside) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...inside);
  return e;
}

function button(text, label, act) {
  const b = element("button", { type: "button", "aria-label": label }, text);
  b.addEventListener("click", () => act(b));
  return b;
}

// change writes a new list and shows it; focus says on which element to go on.
function change(make, focus) {
  if (!store.write(searchesKey, make(searches()))) {
    place.append(element("span", { class: "note", role: "alert" }, " This browser does not keep anything: bookmark the page's address instead."));
    return;
  }
  draw(true);
  if (!focus) return;
  const next = place.querySelector(focus);
  next?.focus();
  next?.select?.();
}

function line(s, i) {
  const name = element("input", { value: s.name, maxlength: "200", "aria-label": "Name of " + s.q });
  name.addEventListener("change", () => change((list) => list.with(i, { ...s, name: name.value.trim() || s.q })));
  name.addEventListener("keydown", (e) => { if (e.key === "Enter") name.blur(); });
  const share = button("copy link", "copy the link of " + s.name, async (b) => {
    await navigator.clipboard?.writeText(location.origin + address(s.q));
    b.textContent = "copied";
  });
  const gone = button("delete", "delete " + s.name, () => change((list) => list.toSpliced(i, 1), "summary, .save"));
  return element("li", {}, name, element("a", { href: address(s.q) }, element("code", {}, s.q)),
    element("a", { href: "/feed.atom?q=" + encodeURIComponent(s.q) }, "feed"), ...(navigator.clipboard ? [share] : []), gone);
}

function draw(open) {
  const q = place.dataset.line.trim();
  const list = searches();
  const parts = [];
  if (list.length) parts.push(element("span", { class: "label" }, "Saved"));
  for (const s of list) {
    const a = element("a", { href: address(s.q), title: s.q }, element("bdi", {}, s.name));
    if (s.q === q) a.setAttribute("aria-current", "true");
    parts.push(a);
  }
  if (q && !list.some((s) => s.q === q) && list.length < most) {
    const save = button("Save this search", "save this search in this browser", () => change((now) => [...now, { name: q, q }], "details li:last-child input"));
    save.className = "save";
    parts.push(save);
  }
  if (list.length) {
    const edit = element("details", {}, element("summary", {}, "edit"), element("ul", { class: "plain" }, ...list.map(line)));
    edit.open = open;
    parts.push(edit);
  }
  place.replaceChildren(...parts.flatMap((p) => [p, " "]));
}

if (place) {
  draw(false);
  addEventListener("storage", (e) => { if (e.key === searchesKey) draw(place.querySelector("details")?.open || false); });
}
