// The page is made anew every ten seconds, while somebody looks.
async function renew() {
  if (document.hidden) return;
  const lead = document.getElementById("status");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status);
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    const main = document.getElementById("main");
    if (made && !main.contains(document.activeElement)) main.replaceChildren(...made.childNodes);
    lead.classList.remove("cut");
  } catch {
    const p = lead.querySelector("p");
    if (p && !lead.classList.contains("cut")) p.prepend("The bus does not answer. ");
    lead.classList.add("cut");
  }
}
setInterval(renew, 10000);
