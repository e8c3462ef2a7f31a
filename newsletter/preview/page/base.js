// What all scripts of the page share: making elements, words for numbers and times, remembering, saying and copying.
"use strict";

const Page = { project: null, letter: null, findings: null, choice: null, view: null, frozen: null };

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const KEPT = "newsletter-preview";

  // Strings become text nodes and attributes: nothing that came from a feed or the server is ever read as markup.
  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  Page.$ = (id) => document.getElementById(id);
  Page.el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  Page.svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  // A link to what a feed says; anything but the web stays words.
  Page.link = (url, words, attributes) =>
    /^https?:\/\//i.test(url || "")
      ? Page.el("a", { href: url, target: "_blank", rel: "noopener noreferrer", ...attributes }, words)
      : Page.el("span", attributes, words);

  // ---- words

  const format = (options) => new Intl.DateTimeFormat("en-GB", options);
  const MOMENT = format({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  const DAY = format({ day: "numeric", month: "short" });
  const CLOCK = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const HOUR = format({ hour: "2-digit", minute: "2-digit" });
  const SINCE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const said = (formatter, value) => {
    const date = new Date(value);
    return Number.isNaN(date.getTime()) ? String(value || "") : formatter.format(date);
  };

  Page.moment = (value) => said(MOMENT, value);
  Page.day = (value) => said(DAY, value);
  Page.clock = (value) => said(CLOCK, value);
  // As a mail client says it: the hour today, else the day.
  Page.inboxDate = (value) =>
    new Date(value).toDateString() === new Date().toDateString() ? said(HOUR, value) : said(DAY, value);

  Page.ago = (value) => {
    if (!value) return "never";
    const seconds = (new Date(value) - Date.now()) / 1000;
    const steps = [["day", 86400], ["hour", 3600], ["minute", 60]];
    for (const [unit, size] of steps) if (Math.abs(seconds) >= size) return SINCE.format(Math.round(seconds / size), unit);
    return "just now";
  };

  Page.number = (value) => Number(value || 0).toLocaleString("en-GB");
  Page.count = (value, one, many) => `${Page.number(value)} ${value === 1 ? one : many || `${one}s`}`;
  Page.kilobytes = (bytes) => `${(bytes / 1000).toFixed(bytes < 10000 ? 1 : 0)} KB`;

  // ---- memory: a private window or a full disk may refuse, and nothing of it matters

  Page.recall = (store, key) => {
    try {
      return JSON.parse(window[store].getItem(`${KEPT}-${key}`));
    } catch {
      return null;
    }
  };
  Page.keep = (store, key, value) => {
    try {
      window[store].setItem(`${KEPT}-${key}`, JSON.stringify(value));
    } catch {
      // Then it is forgotten at the next reload.
    }
  };

  // ---- saying and copying

  let fading = 0;
  Page.say = (words, wrong = false) => {
    const said = Page.$("said");
    said.textContent = words;
    said.classList.toggle("wrong", wrong);
    said.classList.add("shown");
    clearTimeout(fading);
    fading = setTimeout(() => said.classList.remove("shown"), wrong ? 9000 : 4000);
  };

  Page.problemNode = (problem) => [
    Page.el("strong", {}, problem.message || "something went wrong"),
    problem.hint && Page.el("p", { class: "hint" }, "hint: ", problem.hint),
  ];

  async function toClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }

  function copyDialog(title, words, text, notes) {
    Page.$("copy-title").textContent = title;
    Page.$("copy-words").textContent = words;
    Page.$("copy-text").value = text;
    Page.$("copy-notes").replaceChildren(...notes.map((note) => Page.el("li", {}, note)));
    Page.$("copy").showModal();
    Page.$("copy-text").select();
  }

  // Copies, and where the browser refuses shows a text to copy by hand; `always` shows it in any case.
  Page.copy = async (title, text, { always = false, notes = [] } = {}) => {
    const done = await toClipboard(text);
    if (done && !always) Page.say(`${title}: copied`);
    else copyDialog(title, done ? "It is in your clipboard." : "Your browser keeps its clipboard closed; copy it from here.", text, notes);
  };

  Page.download = (name, text, type) => {
    const address = URL.createObjectURL(new Blob([text], { type }));
    const anchor = Page.el("a", { href: address, download: name });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };

  // What scrolls: the panels in a large window, the document in a small one.
  Page.scroller = () => {
    const panels = Page.$("panels");
    return getComputedStyle(panels).overflowY === "auto" ? panels : document.scrollingElement;
  };
  Page.smooth = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");
})();
