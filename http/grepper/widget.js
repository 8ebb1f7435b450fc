// Shows messages of the bus on any page, where this stands:
//
//   <script src="https://bus.example.org/widget.js?css=true" id="datagrepper-widget"
//     data-user="ralph" data-rows_per_page="20"></script>
//
// data-NAME is the parameter NAME of /raw; several values have commas between. With
// css=true it brings a style; without, the page has its own for .message-card and
// .datetime.
(function () {
  "use strict";
  var script = document.currentScript || document.querySelector("script#datagrepper-widget");
  if (!script || !script.src) return;
  var source = new URL(script.src);
  var base = new URL(".", source);

  function element(name, className, text) {
    var e = document.createElement(name);
    if (className) e.className = className;
    if (text) e.textContent = text;
    return e;
  }
  // What messages say is not to be trusted: an address may lead to the web alone.
  function web(address) {
    return typeof address === "string" && /^https?:\/\//i.test(address) ? address : "";
  }
  function linked(to, inner) {
    if (!to) return inner;
    var a = element("a");
    a.href = to;
    a.rel = "noopener noreferrer";
    a.appendChild(inner);
    return a;
  }
  function image(address) {
    var img = element("img");
    img.src = address;
    img.alt = "";
    img.loading = "lazy";
    img.referrerPolicy = "no-referrer";
    return img;
  }

  var query = new URLSearchParams();
  ["link", "icon", "secondary_icon", "subtitle", "date"].forEach(function (m) { query.append("meta", m); });
  ["user", "package", "category", "topic", "agent", "contains", "not_user", "not_package", "not_category", "not_topic",
    "not_agent", "start", "end", "delta", "order", "rows_per_page", "page"].forEach(function (name) {
    var value = script.getAttribute("data-" + name);
    if (!value) return;
    (name === "contains" ? [value] : value.split(",")).forEach(function (v) {
      if (v.trim()) query.append(name, v.trim());
    });
  });

  var box = element("div", "datagrepper-widget");
  script.parentNode.insertBefore(box, script);
  if (source.searchParams.get("css") === "true" && !document.querySelector("link[data-datagrepper]")) {
    var style = element("link");
    style.rel = "stylesheet";
    style.href = new URL("widget.css", base).href;
    style.setAttribute("data-datagrepper", "");
    document.head.appendChild(style);
  }

  fetch(new URL("raw?" + query, base), { headers: { Accept: "application/json" }, credentials: "omit" }).then(function (answer) {
    return answer.json().then(function (json) {
      if (!answer.ok) throw new Error(json.detail || answer.statusText);
      return json;
    });
  }).then(function (json) {
    json.raw_messages.forEach(function (message) {
      var meta = message.meta || {}, card = element("div", "message-card"), to = web(meta.link);
      if (web(meta.icon)) card.appendChild(linked(to, image(meta.icon)));
      if (web(meta.secondary_icon)) card.appendChild(image(meta.secondary_icon));
      var sentence = element("p");
      sentence.appendChild(linked(to, document.createTextNode(meta.subtitle || message.topic)));
      card.appendChild(sentence);
      box.appendChild(card);
      var time = element("time", "datetime", meta.date);
      time.dateTime = time.title = new Date(message.timestamp * 1000).toISOString();
      box.appendChild(time);
    });
    if (!json.raw_messages.length) box.appendChild(element("p", "message-card", "No messages."));
  }).catch(function (error) {
    box.appendChild(element("p", "message-card", "The messages could not be loaded: " + error.message));
  });
})();
