// <fedmsg-feed>: what a message bus says, on any page. Alone, safe, small; see
// docs/feeds.md. Whatever comes from the bus becomes text or an http(s) address.
(() => {
"use strict";
if (!window.customElements || customElements.get("fedmsg-feed")) return;

const source = document.currentScript && document.currentScript.src;
const maxCount = 100, maxText = 500, timeout = 15e3;

const style = `
:host{display:block;padding:.3em .8em;--i:var(--fedmsg-ink,#1a1a1a);--p:var(--fedmsg-paper,#fff);--m:var(--fedmsg-muted,#595959);--r:var(--fedmsg-rule,#d9d9d9);--a:var(--fedmsg-accent,#0b57a4);color:var(--i);background:var(--p);font:15px/1.5 ui-sans-serif,system-ui,sans-serif;text-align:start}
:host([theme=light]){color-scheme:light}
:host([theme=dark]){color-scheme:dark}
@supports(color:light-dark(red,red)){:host{--i:var(--fedmsg-ink,light-dark(#1a1a1a,#e8e8e8));--p:var(--fedmsg-paper,light-dark(#fff,#16181b));--m:var(--fedmsg-muted,light-dark(#595959,#a8a8a8));--r:var(--fedmsg-rule,light-dark(#d9d9d9,#3a3d42));--a:var(--fedmsg-accent,light-dark(#0b57a4,#8ab8ff))}}
:host([hidden]),[hidden]{display:none!important}
ul{list-style:none;margin:0;padding:0}
li{display:grid;grid-template-columns:20px 1fr;gap:0 .6em;padding:.4em 0;border-bottom:1px solid var(--r)}
img{width:20px;height:20px;object-fit:contain;margin-top:.1em}
div{grid-column:2;min-width:0;overflow-wrap:anywhere}
ul:not(:has(img)) li{display:block}
li:last-child{border:0}
a{color:var(--a)}
small,footer,p{color:var(--m);font-size:13px}
a:focus-visible,button:focus-visible{outline:2px solid var(--a);outline-offset:2px}
footer{display:flex;gap:1em;padding:.4em 0}
button{font:inherit;color:var(--a);background:none;border:0;padding:0;text-decoration:underline;cursor:pointer}
p{margin:0}
.quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}`;

let sheet;
try { sheet = new CSSStyleSheet(); sheet.replaceSync(style); } catch { sheet = null; }

const make = (name, part, text) => {
  const e = document.createElement(name);
  if (part) e.setAttribute("part", part);
  if (text) e.textContent = text;
  return e;
};
const words = (x) => typeof x === "string" ? x.length > maxText ? x.slice(0, maxText) + "…" : x : "";
const web = (x) => {
  try {
    const u = new URL(x);
    return typeof x === "string" && /^https?:$/.test(u.protocol) && !u.username && !u.password ? u.href : "";
  } catch { return ""; }
};
const number = (text, otherwise, low, high) => {
  const n = parseInt(text, 10);
  return n >= 0 ? Math.min(Math.max(n, low), high) : otherwise;
};
const rtf = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const ago = (at) => {
  const s = (at - Date.now()) / 1e3;
  for (const [unit, n] of [["year", 31536e3], ["month", 2628e3], ["day", 86400], ["hour", 3600], ["minute", 60]])
    if (Math.abs(s) >= n) return rtf.format(Math.round(s / n), unit);
  return rtf.format(0, "second");
};

class FedmsgFeed extends HTMLElement {
  static get observedAttributes() { return ["bus", "query", "count", "refresh"]; }

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    if (sheet) root.adoptedStyleSheets = [sheet];
    else root.append(make("style", "", style));
    this._box = make("section", "feed");
    this._box.lang = "en";
    this._list = make("ul", "list");
    this._list.setAttribute("role", "list"); // without bullets some readers see none
    this._more = make("a", "more", "All messages");
    this._pause = make("button", "pause", "Pause");
    this._pause.type = "button";
    this._foot = make("footer", "footer");
    this._foot.append(this._more, this._pause);
    this._box.append(this._list, this._foot);
    this._box.hidden = true;
    this._rest = make("slot"); // what the page says itself, until there is more
    this._said = make("p", "status");
    this._said.setAttribute("role", "status");
    root.append(this._box, this._rest, this._said);
    this._pause.onclick = () => {
      this._paused = !this._paused;
      this._pause.textContent = this._paused ? "Go on" : "Pause";
      if (!this._paused) this._load();
    };
    this._list.onmouseleave = () => this._show();
    this._list.addEventListener("focusout", () => setTimeout(() => this._show()));
    this._wake = () => { if (this._due && !document.hidden) this._load(); };
    this._failed = 0;
  }

  connectedCallback() {
    document.addEventListener("visibilitychange", this._wake);
    window.addEventListener("online", this._wake);
    this._clock = setInterval(() => this._tick(), 3e4);
    this._load();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this._wake);
    window.removeEventListener("online", this._wake);
    clearInterval(this._clock);
    clearTimeout(this._timer);
    if (this._asking) this._asking.abort();
    this._asking = null;
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after || !this._asking) return;
    if (name === "bus" || name === "query") this._seen = null; // another feed: nothing of it is "new"
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._load(), 50);
  }

  // _address is where the feed is; "" if nobody said which bus.
  _address() {
    const bus = this.getAttribute("bus");
    try {
      const u = new URL("feed.json", bus ? new URL(bus.replace(/\/*$/, "/"), document.baseURI) : source || undefined);
      const query = this.getAttribute("query");
      if (query) u.searchParams.set("q", query);
      u.searchParams.set("limit", this._count());
      return web(u.href);
    } catch { return ""; }
  }

  _count() { return number(this.getAttribute("count"), 10, 1, maxCount); }

  async _load() {
    clearTimeout(this._timer);
    this._due = false;
    if (this._asking) this._asking.abort();
    const asking = this._asking = new AbortController();
    const limit = setTimeout(() => asking.abort(), timeout);
    this._box.setAttribute("aria-busy", "true");
    let feed, problem;
    try {
      const address = this._address();
      if (!address) throw new Error("fedmsg-feed: the attribute bus names no http(s) address");
      const answer = await fetch(address, { mode: "cors", credentials: "omit", referrerPolicy: "no-referrer", signal: asking.signal });
      feed = await answer.json().catch(() => null);
      if (!answer.ok) throw new Error(words(feed && feed.detail) || "The bus answers " + answer.status + ".");
      if (!feed || !Array.isArray(feed.items)) throw new Error("What the bus answers is no feed.");
    } catch (error) { problem = error; }
    clearTimeout(limit);
    if (asking !== this._asking) return; // gone, or asked anew
    this._box.setAttribute("aria-busy", "false");
    if (problem) {
      this._failed++;
      this._due = true; // also as soon as the network or the reader is back
      this._fail(problem);
    } else {
      this._failed = 0;
      this._next = feed;
      this._show();
    }
    const refresh = this.getAttribute("refresh") === "off" ? 0 : number(this.getAttribute("refresh"), 60, 0, 86400);
    if (!refresh) return void (this._pause.hidden = true);
    this._pause.hidden = false;
    const wait = Math.min(Math.max(refresh, 10) * 2 ** Math.min(this._failed, 10), Math.max(refresh, 900));
    this._timer = setTimeout(() => {
      this._due = true;
      if (!document.hidden && !this._paused) this._load();
    }, wait * 1e3 * (1 + Math.random() / 10));
  }

  // _show draws what came, but never under the reader's hand.
  _show() {
    const feed = this._next;
    if (!feed || this._paused) return;
    if (!this._box.hidden && (this._list.matches(":hover") || this._list.contains(this.shadowRoot.activeElement))) return;
    this._next = null;
    const items = feed.items.filter((x) => x && typeof x === "object").slice(0, this._count());
    this._list.replaceChildren(...items.map((x) => this._row(x)));
    const fresh = this._seen ? items.filter((x) => !this._seen.has(x.id)).length : 0;
    this._seen = new Set(items.map((x) => x.id));
    this._box.setAttribute("aria-label", words(feed.title) || "Messages");
    const home = web(feed.home_page_url);
    this._more.hidden = !home;
    if (home) this._more.href = home;
    this._box.hidden = false;
    this._rest.hidden = true;
    this._say(items.length ? fresh ? fresh + (fresh > 1 ? " new messages" : " new message") : "" : "No messages yet.", items.length > 0);
    this.dispatchEvent(new CustomEvent("fedmsg-load", { detail: { count: items.length } }));
  }

  _row(item) {
    const more = item._fedmsg && typeof item._fedmsg === "object" ? item._fedmsg : {};
    const row = make("li", "item"), cell = make("div"), about = make("small", "about");
    const icon = web(more.icon), link = web(item.url), at = new Date(words(item.date_published));
    if (icon) {
      const img = make("img", "icon");
      Object.assign(img, { alt: "", width: 20, height: 20, loading: "lazy", decoding: "async", referrerPolicy: "no-referrer" });
      img.onerror = () => img.remove();
      img.src = icon;
      row.append(img);
    }
    const sentence = make(link ? "a" : "span", "sentence", words(item.title) || "A message");
    sentence.dir = "auto";
    if (link) Object.assign(sentence, { href: link, rel: "noopener noreferrer nofollow" });
    if (more.category) about.append(make("span", "category", words(more.category)), " · ");
    if (!isNaN(at)) {
      const time = make("time", "time", ago(at));
      time.dateTime = at.toISOString();
      time.title = at.toLocaleString();
      about.append(time);
    }
    cell.append(sentence, make("br"), about);
    row.append(cell);
    return row;
  }

  _tick() {
    for (const t of this._list.querySelectorAll("time")) t.textContent = ago(new Date(t.dateTime));
  }

  // _fail leaves what is there: the last messages, else what the page says itself.
  _fail(problem) {
    const plain = problem instanceof TypeError || problem.name === "AbortError" ? "The bus cannot be reached." : problem.message;
    const quiet = this._box.hidden && (this.childElementCount > 0 || this.textContent.trim() !== "");
    this._say(this._box.hidden ? plain : plain + " These messages are older.", quiet);
    this.dispatchEvent(new CustomEvent("fedmsg-error", { detail: { message: plain } }));
  }

  _say(text, quiet) {
    this._said.className = quiet ? "quiet" : "";
    this._said.textContent = text;
  }
}

customElements.define("fedmsg-feed", FedmsgFeed);
})();
