// Every entry with its fate and why; hiding entries and moving sections, in this preview only.
"use strict";

(() => {
  const { $, el } = Page;
  const FATES = {
    shown: "shown",
    headline: "headline",
    updated: "updated",
    duplicate: "duplicate",
    excluded: "left out by a rule",
    hidden: "hidden",
    held: "held",
    skipped: "skipped",
  };
  const ELSEWHERE = "";
  const seen = { fate: "", words: "" };
  let list = null;

  const hidden = () => Page.choice?.hidden || [];
  // A past issue is frozen: there is nothing left to choose.
  const fixed = () => Boolean(Page.frozen || Page.letter?.past);

  // The button that was pressed is drawn anew with the list; the keyboard must not lose its place.
  function keepFocus(draw) {
    const key = document.activeElement?.dataset?.key;
    draw();
    if (!key || !list) return;
    const again = list.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const other = again?.disabled ? again.parentElement.querySelector("button:not(:disabled)") : again;
    other?.focus({ preventScroll: true });
  }

  function toggle(entry) {
    const now = new Set(hidden());
    if (!now.delete(entry.id)) now.add(entry.id);
    Page.choose({ hidden: [...now] });
  }

  function move(word, step) {
    const words = Page.letter.sections.map((section) => section.word);
    const from = words.indexOf(word);
    const to = from + step;
    if (from < 0 || to < 0 || to >= words.length) return;
    words.splice(to, 0, ...words.splice(from, 1));
    Page.choose({ order: words });
    Page.say(`${word} is now section ${to + 1} of ${words.length}`);
  }

  function item(entry) {
    const out = hidden().includes(entry.id);
    const can = !fixed() && (out || ["shown", "headline", "updated", "duplicate"].includes(entry.fate));
    return el("li", { class: "entry", "data-entry": entry.id, "data-fate": entry.fate },
      el("span", { class: `fate ${entry.fate}` }, FATES[entry.fate] || entry.fate),
      el("div", {},
        el("p", { class: "name" }, Page.link(entry.url, entry.title || "(no title)", { dir: "auto" })),
        el("p", { class: "quiet" }, [entry.feed_title || entry.feed, entry.published_at && Page.moment(entry.published_at)].filter(Boolean).join(" · ")),
        entry.why && el("p", { class: "why" }, entry.why)),
      can && el("button", {
        type: "button",
        "data-key": `entry ${entry.id}`,
        "data-hide": entry.id,
        "aria-label": `${out ? "Show" : "Hide"} ${entry.title || "this entry"}`,
        click: () => toggle(entry),
      }, out ? "Show" : "Hide"));
  }

  function mover(section, index, last, step) {
    const words = step < 0 ? "up" : "down";
    return el("button", {
      type: "button",
      "data-key": `${words} ${section.word}`,
      "data-move": words,
      "aria-label": `Move ${section.title || section.word} ${words}`,
      title: `Move ${words}`,
      disabled: step < 0 ? index === 0 : index === last,
      click: () => move(section.word, step),
    }, step < 0 ? "↑" : "↓");
  }

  function matches(entry) {
    const words = seen.words.toLocaleLowerCase();
    const text = [entry.title, entry.feed_title, entry.feed, entry.why, entry.url].join("\n").toLocaleLowerCase();
    return (!seen.fate || entry.fate === seen.fate) && text.includes(words);
  }

  function groups(letter) {
    const sections = letter.sections || [];
    const known = new Map(sections.flatMap((section) => [[section.title, section.word], [section.word, section.word]]));
    const found = new Map(sections.map((section) => [section.word, []]));
    found.set(ELSEWHERE, []);
    for (const entry of letter.entries || []) found.get(known.get(entry.section) ?? ELSEWHERE).push(entry);
    return [...sections, { word: ELSEWHERE, title: "In no section of this issue" }].map((section) => [section, found.get(section.word)]);
  }

  function drawList() {
    const letter = Page.letter;
    const last = (letter.sections || []).length - 1;
    const filtered = Boolean(seen.fate || seen.words);
    const blocks = groups(letter).map(([section, entries], index) => {
      const mine = entries.filter(matches);
      if (!mine.length && (filtered || section.word === ELSEWHERE)) return null;
      const movable = section.word !== ELSEWHERE && last > 0 && !fixed();
      return el("section", { class: "group", "data-section": section.word },
        el("div", { class: "head" },
          el("h3", { dir: "auto" }, section.title || section.word),
          el("span", { class: "quiet" }, filtered ? `${mine.length} of ${entries.length}` : Page.count(entries.length, "entry", "entries")),
          movable && el("span", { class: "movers" }, mover(section, index, last, -1), mover(section, index, last, 1))),
        el("ul", { class: "entries" }, mine.map(item)));
    }).filter(Boolean);
    const none = letter.entries?.length ? "No entry is like that." : "No entries: nothing is new, and nothing was left out.";
    list.replaceChildren(...(blocks.length ? blocks : [el("p", { class: "empty" }, none)]));
  }

  function filters(letter) {
    const all = letter.entries || [];
    const chip = (fate, words, count) => el("button", {
      type: "button",
      class: "chip",
      "data-fate": fate,
      "aria-pressed": String(seen.fate === fate),
      click: () => {
        seen.fate = fate;
        for (const other of document.querySelectorAll("#fates button")) other.setAttribute("aria-pressed", String(other.dataset.fate === fate));
        drawList();
      },
    }, words, " ", el("small", {}, String(count)));
    const present = Object.keys(FATES).filter((fate) => all.some((entry) => entry.fate === fate));
    if (!present.includes(seen.fate)) seen.fate = "";
    return el("div", { id: "fates", class: "chips", role: "group", "aria-label": "By fate" },
      chip("", "all", all.length), present.map((fate) => chip(fate, FATES[fate], all.filter((entry) => entry.fate === fate).length)));
  }

  async function asConfig() {
    try {
      const answer = await Page.server.ask("/api/config", Page.choice);
      await Page.copy("Copy as config", answer.yaml, { always: true, notes: answer.notes || [] });
    } catch (error) {
      if (!error.refused) Page.say(error.message, true);
    }
  }

  function show(letter) {
    const panel = $("panel-entries");
    const title = el("h2", { class: "unseen" }, "Entries");
    if (!letter) return panel.replaceChildren(title, el("p", { class: "empty" }, "There is no letter yet."));
    const changed = hidden().length || (Page.choice?.order || []).length;
    const search = panel.querySelector("#entry-search") || el("input", {
      id: "entry-search",
      type: "search",
      placeholder: "Search entries",
      "aria-label": "Search entries",
      input: (event) => {
        seen.words = event.target.value.trim();
        drawList();
      },
    });
    return keepFocus(() => {
      const typing = document.activeElement === search;
      list = el("div", { id: "entry-list" });
      drawList();
      panel.replaceChildren(title,
        el("div", { class: "tools" }, search, filters(letter),
          !fixed() && el("span", { class: "pair" },
            el("button", { id: "as-config", type: "button", "data-key": "config", click: asConfig, title: "The settings that do the same in newsletter.yaml" }, "Copy as config"),
            el("button", { id: "reset", type: "button", "data-key": "reset", disabled: !changed, click: () => Page.choose({ hidden: [], order: [] }) }, "Reset")) || ""),
        !fixed() && changed ? el("p", { class: "quiet" }, letter.draft
          ? "Hidden entries and moved sections are so in this preview only, until you keep them in the draft."
          : "Hidden entries and moved sections are so in this preview only; what is sent follows newsletter.yaml.") : "",
        list);
      if (typing) search.focus({ preventScroll: true });
    });
  }

  Page.entries = { show };
})();
