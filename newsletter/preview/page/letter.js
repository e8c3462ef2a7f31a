// The letter in its frame: a copy that can run nothing, in every width, scheme and state that mailboxes show it in.
"use strict";

(() => {
  const { $, el } = Page;
  const WIDTHS = { phone: 320, tablet: 600, desktop: 1024, fit: null };
  const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";
  const LINE = "data-preview-line";
  const TALLEST = 100000;

  let frame = null;
  let coming = null;
  let watch = null;
  let target = null;

  // ---- the copy

  // Every start tag gets the number of its line, so that a finding can be shown where it stands.
  function numbered(html) {
    let line = 1;
    let at = 0;
    const token = /<!--[\s\S]*?-->|<(style|script|title|textarea)\b[\s\S]*?<\/\1\s*>|<[a-z][a-z0-9]*(?=[\s/>])/gi;
    return html.replace(token, (found, raw, offset) => {
      for (; at < offset; at += 1) if (html.charCodeAt(at) === 10) line += 1;
      return raw || found.startsWith("<!") ? found : `${found} ${LINE}="${line}"`;
    });
  }

  // A query about the scheme becomes one about nothing, with the answer that is wanted.
  function decided(css, dark) {
    const query = (wanted) => new RegExp(`@media\\s*\\(\\s*prefers-color-scheme\\s*:\\s*${wanted}\\s*\\)\\s*\\{`, "gi");
    const feature = (wanted) => new RegExp(`\\(\\s*prefers-color-scheme\\s*:\\s*${wanted}\\s*\\)`, "gi");
    const [yes, no] = dark ? ["dark", "light"] : ["light", "dark"];
    return css
      .replace(query(yes), "@media all {")
      .replace(query(no), "@media not all {")
      .replace(feature(yes), "(min-width: 0px)")
      .replace(feature(no), "(max-width: 0px)")
      .replace(/(color-scheme\s*:\s*)light dark/gi, `$1${dark ? "dark" : "light"}`);
  }

  // The standing guards come first: they hold for all that is read after them.
  function guard(doc, images) {
    const pictures = images ? "https: data:" : "'none'";
    const metas = [
      { "http-equiv": "Content-Security-Policy", content: `default-src 'none'; style-src 'unsafe-inline'; img-src ${pictures}` },
      { name: "referrer", content: "no-referrer" },
      // Browsers look up the hosts of links beforehand; nobody but the pictures' hosts is to hear of a preview.
      { "http-equiv": "x-dns-prefetch-control", content: "off" },
    ];
    const make = (tag, attributes) => {
      const node = doc.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      return node;
    };
    doc.head.prepend(...metas.map((meta) => make("meta", meta)), make("base", { target: "_blank" }));
  }

  function tame(doc) {
    for (const node of doc.querySelectorAll("script, base, link, meta[http-equiv]")) node.remove();
    for (const anchor of doc.querySelectorAll("a[href], area[href]")) {
      const address = anchor.getAttribute("href").trim();
      anchor.setAttribute("rel", "noopener noreferrer");
      anchor.removeAttribute("target");
      if (address.startsWith("#")) anchor.setAttribute("target", "_self");
      else if (!/^(https?:|mailto:|tel:)/i.test(address)) anchor.removeAttribute("href");
    }
  }

  function embed(doc, pictures) {
    const found = (cid) => pictures[cid] || pictures[`cid:${cid}`] || "data:,";
    for (const node of doc.querySelectorAll('[src^="cid:" i], [background^="cid:" i]')) {
      for (const name of ["src", "background"]) {
        const value = node.getAttribute(name);
        if (/^cid:/i.test(value || "")) node.setAttribute(name, found(value.slice(4)));
      }
    }
  }

  function variant(html, view, pictures) {
    const dark = view.scheme === "dark";
    const doc = new DOMParser().parseFromString(numbered(html), "text/html");
    tame(doc);
    for (const style of doc.querySelectorAll("style")) {
      if (view.styles) style.textContent = decided(style.textContent, dark);
      else style.remove();
    }
    for (const node of doc.querySelectorAll("[media]")) node.setAttribute("media", decided(node.getAttribute("media"), dark));
    for (const meta of doc.querySelectorAll('meta[name="color-scheme"], meta[name="supported-color-schemes"]')) {
      if (/dark/.test(meta.content)) meta.content = dark ? "dark" : "light";
    }
    embed(doc, pictures);
    guard(doc, view.images);
    return (doc.compatMode === "BackCompat" ? "" : "<!DOCTYPE html>\n") + doc.documentElement.outerHTML;
  }

  // ---- the frame

  const inside = (node) => {
    try {
      return node.contentDocument;
    } catch {
      return null;
    }
  };

  function measure(node) {
    const doc = inside(node);
    if (!doc?.documentElement) return null;
    // In quirks mode the body says how tall the window is, not itself.
    const body = doc.compatMode === "CSS1Compat" ? doc.body?.scrollHeight || 0 : 0;
    return Math.ceil(Math.max(doc.documentElement.getBoundingClientRect().height, body));
  }

  // As tall as its content; a letter that is always taller than its window would grow for ever, so the steps of one go
  // are counted.
  function follow(node) {
    let steps = 0;
    let last = 0;
    const fit = () => {
      const height = measure(node);
      if (height === null || node !== frame) return;
      if (performance.now() - last > 500) steps = 0;
      last = performance.now();
      if (Math.abs(height - node.clientHeight) > 1 && steps < 60) {
        steps += 1;
        node.style.height = `${Math.min(height, TALLEST)}px`;
      }
      place();
    };
    watch?.disconnect();
    watch = new ResizeObserver(fit);
    if (inside(node)?.documentElement) watch.observe(inside(node).documentElement);
    fit();
  }

  function swap(node) {
    if (node !== coming) return;
    const focused = document.activeElement === frame;
    const height = measure(node);
    const scroller = Page.scroller();
    const top = scroller.scrollTop;
    node.style.height = height === null ? "80vh" : `${Math.min(height, TALLEST)}px`;
    // Pictures of the new letter may still be on their way: the old height holds the place, so nothing jumps.
    if (frame) $("device").style.minHeight = `${frame.offsetHeight}px`;
    node.classList.remove("coming");
    frame?.remove();
    frame = node;
    coming = null;
    outline(null);
    follow(node);
    scroller.scrollTop = top;
    if (focused) node.focus();
    const settle = () => {
      if (node !== frame) return;
      $("device").style.minHeight = "";
      follow(node);
    };
    if (inside(node)?.readyState === "complete") settle();
    else {
      node.addEventListener("load", settle, { once: true });
      setTimeout(settle, 2000);
    }
    inside(node)?.addEventListener("keydown", (event) => Page.shortcut?.(event));
    $("stage").dataset.revision = String(Page.letter?.revision ?? "");
  }

  function load(srcdoc) {
    coming?.remove();
    const node = el("iframe", { class: "frame coming", sandbox: SANDBOX, title: "The letter", srcdoc });
    coming = node;
    node.addEventListener("load", () => swap(node), { once: true });
    $("device").append(node);
    // The load event waits for the slowest picture; the words are there long before.
    const look = () => {
      if (node !== coming) return;
      const doc = inside(node);
      if (doc?.URL === "about:srcdoc" && doc.readyState !== "loading") swap(node);
      else setTimeout(look, 10);
    };
    look();
  }

  // A device wider than the window is drawn smaller, as a whole: its own queries still see its width.
  function place() {
    const wanted = WIDTHS[Page.view.width];
    const [stage, device] = [$("stage"), $("device")];
    const room = stage.clientWidth - 4;
    if (room <= 0) return;
    const width = wanted || room;
    const scale = Math.min(1, room / width);
    stage.dataset.width = Page.view.width;
    device.style.width = `${width}px`;
    device.style.transform = scale < 1 ? `scale(${scale})` : "";
    device.style.marginInlineStart = scale < 1 ? "0" : "";
    stage.style.height = scale < 1 ? `${Math.ceil(device.offsetHeight * scale) + 24}px` : "";
    $("measure").textContent = scale < 1 ? `${width} px wide, drawn at ${Math.round(scale * 100)} %` : `${width} px wide`;
    if (target) outline(target);
  }

  function outline(node) {
    target = node;
    $("outline")?.remove();
    if (!node) return;
    const box = node.getBoundingClientRect();
    const mark = el("div", { id: "outline", "aria-hidden": "true" });
    Object.assign(mark.style, {
      left: `${box.left - 4}px`,
      top: `${frame.offsetTop + box.top - 4}px`,
      width: `${box.width + 8}px`,
      height: `${box.height + 8}px`,
    });
    $("device").append(mark);
  }

  // The element of a line, or the nearest one before it that can be seen.
  function at(line) {
    let best = null;
    for (const node of inside(frame)?.body?.querySelectorAll(`[${LINE}]`) || []) {
      const number = Number(node.getAttribute(LINE));
      if (number > line) break;
      if (node.getClientRects().length && (!best || number > Number(best.getAttribute(LINE)))) best = node;
    }
    return best;
  }

  // Scrolls to the element of a line and outlines it; null takes the outline away.
  function find(line) {
    if (line === null) return outline(null);
    const node = frame && at(line);
    if (!node) return false;
    outline(node);
    const scroller = Page.scroller();
    const box = $("outline").getBoundingClientRect();
    const from = scroller === $("panels") ? scroller.getBoundingClientRect().top : 0;
    scroller.scrollTo({ top: scroller.scrollTop + box.top - from - scroller.clientHeight / 3, behavior: Page.smooth() });
    return true;
  }

  function press() {
    const on = (flag) => (flag ? "on" : "off");
    const view = { ...Page.view, images: on(Page.view.images), styles: on(Page.view.styles) };
    for (const button of $("looks").querySelectorAll("button")) {
      const [[name, value]] = Object.entries(button.dataset);
      button.setAttribute("aria-pressed", String(view[name] === value));
    }
    $("device").dataset.scheme = view.scheme;
  }

  function show(letter) {
    const html = letter?.html || "";
    press();
    $("stage").hidden = !html;
    $("text-letter").hidden = Boolean(html) || !letter;
    $("text-letter").textContent = html ? "" : letter?.text || "";
    if (!html) {
      coming?.remove();
      frame?.remove();
      frame = coming = null;
      return;
    }
    place();
    load(variant(html, Page.view, { ...Page.frozen?.pictures, ...letter.pictures }));
  }

  // One look changed: a width is a matter of the frame, all else of the copy in it.
  function look(name, value) {
    Page.view[name] = value;
    Page.keepView();
    press();
    if (name === "width") place();
    else if (Page.letter) show(Page.letter);
  }

  function begin() {
    $("looks").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const [[name, value]] = Object.entries(button.dataset);
      look(name, name === "images" || name === "styles" ? value === "on" : value);
    });
    new ResizeObserver(() => place()).observe($("panel-letter"));
    press();
  }

  Page.letters = { begin, show, look, find };
})();
