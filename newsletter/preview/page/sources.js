// The parts of the message as text: plain text, Markdown, HTML with line numbers, and the raw message with its headers.
"use strict";

(() => {
  const { $, el } = Page;

  function paint(name, title, ...children) {
    $(`panel-${name}`).replaceChildren(el("h2", { class: "unseen" }, title), ...children);
  }

  const empty = (words) => el("p", { class: "empty" }, words);
  const copier = (title, text) => el("button", { type: "button", click: () => Page.copy(title, text) }, "Copy");
  const tools = (words, ...buttons) => el("div", { class: "tools" }, el("span", { class: "quiet" }, words), ...buttons);
  const lines = (text) => Page.count(text.split("\n").length, "line");

  function prose(name, title, text) {
    if (!text) return paint(name, title, empty(`This message has no ${title.toLowerCase()} part.`));
    return paint(name, title, tools(`${lines(text)} · ${Page.number(text.length)} characters`, copier(title, text)), el("pre", { class: "prose" }, text));
  }

  // ---- HTML

  // Cuts into rows of [class, text]; a token that runs over several lines is cut at their ends.
  function rows(html) {
    const out = [[]];
    const put = (text, kind) => {
      text.split("\n").forEach((piece, index) => {
        if (index) out.push([]);
        if (piece) out[out.length - 1].push([kind, piece]);
      });
    };
    const token = /<!--[\s\S]*?-->|<[!/]?[a-z][^\s/>]*|\/?>|"[^"]*"|'[^']*'|[\w:-]+(?==)/gi;
    let at = 0;
    let inTag = false;
    for (const found of html.matchAll(token)) {
      const text = found[0];
      const opens = text[0] === "<";
      const closes = text.endsWith(">") && !opens;
      if (!opens && !inTag) continue;
      put(html.slice(at, found.index), "");
      put(text, text.startsWith("<!--") ? "c" : opens || closes ? "t" : /^["']/.test(text) ? "s" : "a");
      at = found.index + text.length;
      inTag = (opens && !text.startsWith("<!--")) || (inTag && !closes);
    }
    put(html.slice(at), "");
    return out;
  }

  function html(letter) {
    if (!letter.html) return paint("html", "HTML", empty("This message has no HTML part: the reader takes plain text only."));
    const code = el("div", { class: "code", role: "region", "aria-label": "HTML part" });
    rows(letter.html).forEach((row, index) => {
      const pieces = row.map(([kind, text]) => (kind ? el("span", { class: kind }, text) : text));
      code.append(el("div", { class: "row", id: `line-${index + 1}`, "data-line": index + 1 }, el("code", {}, ...pieces)));
    });
    return paint("html", "HTML", tools(`${lines(letter.html)} · ${Page.number(letter.size?.html)} bytes`, copier("HTML", letter.html)), code);
  }

  function mark(line) {
    for (const row of document.querySelectorAll(".row.marked")) {
      row.classList.remove("marked");
      row.removeAttribute("aria-current");
    }
    const row = $(`line-${line}`);
    if (!row) return false;
    row.classList.add("marked");
    row.setAttribute("aria-current", "true");
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "center", behavior: "auto" });
    return true;
  }

  // ---- the whole message

  function parts(letter) {
    return el("ul", { class: "parts" }, (letter.parts || []).map((part) =>
      el("li", {}, el("code", {}, part.type), part.name && ` ${part.name}`, el("span", { class: "quiet" }, ` ${Page.number(part.bytes)} bytes`))));
  }

  function header({ name, value, raw }) {
    const same = String(raw || "").replace(/\s+/g, " ").trim() === String(value).replace(/\s+/g, " ").trim();
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value, raw && !same && el("div", { class: "raw" }, raw)));
  }

  function message(letter) {
    if (!letter.source) return paint("source", "Source", empty("No message yet."));
    return paint(
      "source",
      "Source",
      tools(`${Page.number(letter.size?.message)} bytes on the wire`, copier("Message", letter.source)),
      el("h3", {}, "Headers, decoded"),
      el("div", { class: "wide", role: "region", "aria-label": "Headers", tabindex: "0" }, el("table", { id: "headers" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Header"), el("th", { scope: "col" }, "Value"))),
        el("tbody", {}, (letter.headers || []).map(header)))),
      el("h3", {}, "Parts"),
      parts(letter),
      el("h3", {}, "As it goes over the wire"),
      el("pre", { id: "raw", class: "raw-message" }, letter.source),
    );
  }

  Page.sources = {
    text: (letter) => prose("text", "Text", letter.text),
    markdown: (letter) => prose("markdown", "Markdown", letter.markdown),
    html,
    message,
    mark,
  };
})();
