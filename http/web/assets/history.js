// The histogram shows the number under the pointer; dragging over it chooses a time.
import { line } from "./page.js";
import "./saved.js";

const figure = document.getElementById("histogram");
if (figure) {
  const svg = figure.querySelector("svg");
  const brush = document.getElementById("brush");
  const told = document.getElementById("bar");
  const rows = [...figure.querySelectorAll("tbody tr")];
  const start = Number(figure.dataset.start);
  const length = Number(figure.dataset.step);
  let from = -1;
  let moved = false;

  const place = (e) => {
    const box = svg.getBoundingClientRect();
    return Math.min(Math.max(Math.floor((e.clientX - box.left) / box.width * rows.length), 0), rows.length - 1);
  };
  const cover = (a, b) => {
    brush.setAttribute("x", Math.min(a, b));
    brush.setAttribute("width", Math.abs(a - b) + 1);
  };
  const when = (i) => new Date(start + i * length).toISOString().slice(0, 16) + "Z";
  // A line without its bounds in time; conditions with blanks in quotes stay whole.
  const unbound = (q) => (q.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*"?)+/g) || []).filter((p) => !/^(after|since|before|until|on):/i.test(p)).join(" ");

  svg.addEventListener("pointerdown", (e) => {
    if (e.button) return;
    from = place(e);
    moved = false;
    svg.setPointerCapture(e.pointerId);
    cover(from, from);
  });
  svg.addEventListener("pointermove", (e) => {
    const at = place(e);
    if (from >= 0) {
      moved = moved || at !== from;
      cover(from, at);
      const n = rows.slice(Math.min(from, at), Math.max(from, at) + 1).reduce((sum, r) => sum + Number(r.cells[1].textContent.replace(/\D/g, "")), 0);
      told.textContent = `${rows[Math.min(from, at)].cells[0].textContent} to ${when(Math.max(from, at) + 1).replace("T", " ").replace("Z", "")}: ${n}`;
      return;
    }
    cover(at, at);
    told.textContent = `${rows[at].cells[0].textContent}: ${rows[at].cells[1].textContent}`;
  });
  svg.addEventListener("pointerleave", () => {
    if (from >= 0) return;
    brush.setAttribute("width", 0);
    told.textContent = "";
  });
  svg.addEventListener("pointercancel", () => { from = -1; brush.setAttribute("width", 0); });
  svg.addEventListener("pointerup", (e) => {
    if (from < 0) return;
    const to = place(e);
    const [a, b] = [Math.min(from, to), Math.max(from, to) + 1];
    from = -1;
    let q = unbound(line());
    if (/\bOR\b/.test(q)) q = `(${q})`;
    location.href = "/history?q=" + encodeURIComponent(`${q} after:${when(a)} before:${when(b)}`.trim());
  });
}

// The range is chosen at once.
document.getElementById("range")?.addEventListener("change", (e) => {
  if (e.target.value !== "other") e.target.form.requestSubmit();
});
