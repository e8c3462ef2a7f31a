// The course of things: what is asked when, which answer counts, tabs, shortcuts and actions. Runs last.
"use strict";

(() => {
  const { $, el } = Page;
  const TABS = ["letter", "text", "markdown", "html", "source", "checks", "entries", "dashboard"];
  const KEYS = [
    ["1 – 8", "the tabs, from left to right"],
    ["p t d f", "the letter as on a phone, a tablet, a desktop; as wide as fits"],
    ["l", "light or dark letter"],
    ["i", "images on or off"],
    ["s", "styles on or stripped"],
    ["/", "search for a person"],
    ["?", "these words"],
    ["Esc", "closes what is open"],
  ];
  const FOLLOWED = 10000;
  const stale = new Set(TABS);
  const tops = {};
  let turn = 0;
  let asking = null;
  let lost = false;
  let following = 0;

  Page.keepView = () => Page.keep("sessionStorage", "view", Page.view);

  // ---- tabs

  function paint() {
    const tab = Page.view.tab;
    if (!stale.delete(tab)) return;
    if (tab === "dashboard") return Page.frozen ? Page.dashboard.show(Page.frozen.status) : askStatus();
    if (tab === "checks") return Page.checks.show(Page.findings);
    if (tab === "entries") return Page.entries.show(Page.letter);
    if (!Page.letter) return;
    const top = Page.scroller().scrollTop;
    if (tab === "letter") Page.letters.show(Page.letter);
    else Page.sources[tab === "source" ? "message" : tab](Page.letter);
    Page.scroller().scrollTop = top;
  }

  function open(tab, { focus = false } = {}) {
    const before = Page.view.tab;
    tops[before] = Page.scroller().scrollTop;
    Page.view.tab = tab;
    Page.keepView();
    for (const name of TABS) {
      const mine = name === tab;
      $(`tab-${name}`).setAttribute("aria-selected", String(mine));
      $(`tab-${name}`).tabIndex = mine ? 0 : -1;
      $(`panel-${name}`).hidden = !mine;
    }
    if (focus) $(`tab-${tab}`).focus();
    $(`tab-${tab}`).scrollIntoView({ block: "nearest", inline: "nearest" });
    paint();
    if (before !== tab) Page.scroller().scrollTop = tops[tab] || 0;
  }

  function tabKeys(event) {
    const at = TABS.indexOf(Page.view.tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    open(TABS[(to + TABS.length) % TABS.length], { focus: true });
  }

  Page.showLine = (line) => {
    open("html");
    if (!Page.sources.mark(line)) Page.say(`The HTML part has no line ${line}.`, true);
  };
  // The frame may just be on its way in; it is looked for until it stands.
  Page.findLine = (line, patience = 20) => {
    open("letter");
    if (Page.letters.find(line)) $("tab-letter").focus({ preventScroll: true });
    else if (patience) setTimeout(() => Page.findLine(line, patience - 1), 50);
    else {
      Page.showLine(line);
      Page.say(`Line ${line} cannot be seen in the letter; here it is in the HTML part.`);
    }
  };

  // ---- what the top says

  function state(kind, words) {
    $("state").dataset.state = kind;
    $("state-words").textContent = words;
  }

  function inbox(letter) {
    const name = letter.sender?.name || letter.sender?.email || "";
    $("initial").textContent = [...name][0] || "";
    $("sender").textContent = name;
    $("sender").title = letter.sender?.email || "";
    $("subject").textContent = letter.subject || "(no subject)";
    $("preheader").textContent = letter.preheader ? ` – ${letter.preheader}` : "";
    $("inbox").title = `${letter.subject || ""}\n${letter.preheader || ""}`;
    $("date").textContent = letter.issue?.date ? Page.inboxDate(letter.issue.date) : "";
    $("date").dateTime = letter.issue?.date || "";
    const marks = [letter.sample && "sample", letter.past && `No. ${letter.issue?.number}`, letter.personal && "personal"];
    $("marks").replaceChildren(...marks.filter(Boolean).map((words) => el("span", { class: "mark" }, words)));
  }

  function meter(size) {
    const { html = 0, limit = 90000, clip = 102000 } = size || {};
    const top = Math.max(html, clip) * 1.14;
    const share = (bytes) => `${((bytes / top) * 100).toFixed(2)}%`;
    const kind = html > clip ? "error" : html > limit ? "warning" : "ok";
    const tick = (bytes, end, words) => [
      Page.svg("line", { class: "mark", x1: share(bytes), x2: share(bytes), y1: 0, y2: 16 }),
      Page.svg("text", { class: "tick", x: end, y: 29, "text-anchor": "end" }, words),
    ];
    const drawn = Page.svg("svg", { width: "100%", height: 34, "aria-hidden": "true", class: "meter" },
      Page.svg("rect", { class: "track", x: 0, y: 3, width: "100%", height: 10, rx: 2 }),
      Page.svg("rect", { class: `fill ${kind}`, x: 0, y: 3, width: share(html), height: 10, rx: 2 }),
      ...tick(limit, share(limit), `${Math.round(limit / 1000)} KB budget`), ...tick(clip, "100%", `${Math.round(clip / 1000)} KB clip`));
    const verdict = { ok: `${Math.round((html / limit) * 100)} % of the budget`, warning: "over the budget", error: "Gmail will clip it" }[kind];
    $("meter").replaceChildren(
      el("p", { title: size?.words || "" }, el("strong", {}, html ? `${Page.kilobytes(html)} HTML` : "no HTML part"), html ? `, ${verdict}` : "",
        el("span", { class: "quiet" }, ` · message ${Page.kilobytes(size?.message || 0)}`)), drawn);
    $("meter").dataset.kind = kind;
  }

  function notices(list) {
    $("notices").replaceChildren(...(list || []).map((words) => el("li", {}, words)));
    $("notices").hidden = !list?.length;
  }

  function problem(found) {
    const box = $("problem");
    document.body.classList.toggle("broken", Boolean(found));
    box.hidden = !found;
    if (!found) return box.replaceChildren();
    const place = [found.path, found.line].filter(Boolean).join(":");
    const kinds = { template: "The template has a mistake", config: "The configuration has a mistake", usage: "That cannot be shown" };
    return box.replaceChildren(
      el("h2", {}, kinds[found.kind] || "Something went wrong", place && el("code", {}, place)),
      el("p", { class: "message" }, found.message),
      found.hint ? el("p", { class: "hint" }, "hint: ", found.hint) : "",
      found.excerpt?.length ? el("pre", { class: "excerpt", tabindex: "0", "aria-label": "Where it stands" }, found.excerpt.map((row) =>
        el("span", row.line === found.line ? { class: "at", "aria-current": "true" } : {}, el("b", {}, String(row.line)), `${row.text}\n`))) : "",
      Page.letter ? el("p", { class: "quiet" }, found.kind === "usage" ? "Below is the letter from before." : "Below is the last letter that could be made. This goes away by itself once it is mended.") : "");
  }

  // ---- asking

  function accept(letter) {
    if (letter.problem) {
      problem(letter.problem);
      notices([]);
      return state("broken", `cannot be made, ${Page.clock(Date.now())}`);
    }
    problem(null);
    Page.letter = letter;
    notices(letter.notices);
    Page.draft.show(letter);
    inbox(letter);
    meter(letter.size);
    Page.chooser.show();
    for (const tab of TABS) stale.add(tab);
    paint();
    $("copy-html").disabled = !letter.html;
    $("download").disabled = !letter.source;
    return state("live", `updated ${Page.clock(Date.now())} · ${Page.number(letter.milliseconds)} ms`);
  }

  function failed(error) {
    if (error.name === "AbortError" || error.refused) return undefined;
    if (error.lost) return state("lost", "the preview has stopped");
    problem(error.problem || { kind: "other", message: error.message });
    return state("broken", `cannot be made, ${Page.clock(Date.now())}`);
  }

  // Asks for the letter of the choice. Answers may overtake each other; only the newest question's counts.
  async function askLetter() {
    const mine = (turn += 1);
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    state("waiting", "building…");
    try {
      const letter = await Page.server.ask("/api/letter", Page.choice, signal);
      if (mine !== turn) return;
      accept(letter);
      if (!letter.problem) askFindings(mine, signal);
    } catch (error) {
      if (mine === turn) failed(error);
    }
  }

  // The checks take longer than the letter, and nobody waits for them.
  async function askFindings(mine, signal) {
    await new Promise((resolve) => setTimeout(resolve, 120));
    if (mine !== turn) return;
    try {
      const answer = await Page.server.ask("/api/findings", Page.choice, signal);
      if (mine !== turn) return;
      Page.findings = answer.findings;
      stale.add("checks");
      Page.checks.show(Page.findings);
    } catch (error) {
      // The letter stands; that it could not be judged is said where its findings would be.
      if (mine === turn && error.problem) Page.checks.show(null, error.problem);
    }
  }

  async function askStatus({ again = false } = {}) {
    if (!again) Page.dashboard.show();
    try {
      const answer = await Page.server.ask("/api/status");
      if (again) Page.dashboard.follow(answer);
      else Page.dashboard.show(answer);
    } catch (error) {
      stale.add("dashboard");
      if (error.problem && !again) Page.say(error.message, true);
    }
    clearTimeout(following);
    if (Page.dashboard.isBusy()) following = setTimeout(followStatus, FOLLOWED);
  }

  // While several machines send, whoever looks at the dashboard sees how far they are.
  function followStatus() {
    if (Page.view.tab !== "dashboard" || lost) return void stale.add("dashboard");
    if (document.hidden) following = setTimeout(followStatus, FOLLOWED);
    else askStatus({ again: true });
  }

  async function askProject() {
    try {
      Page.project = await Page.server.ask("/api/project");
    } catch (error) {
      return failed(error);
    }
    const kept = Page.choice || Page.recall("sessionStorage", "choice");
    const { digests, issues, choice } = Page.project;
    // A choice that outlived its digest or its issue falls back to the server's.
    const known = kept && digests.some((digest) => digest.name === kept.digest);
    Page.choice = known ? { ...choice, ...kept } : choice;
    if (Page.choice.issue && !issues.some((issue) => issue.digest === Page.choice.digest && issue.number === Page.choice.issue) && known) Page.choice.issue = null;
    return Page.chooser.show();
  }

  Page.choose = (change) => {
    if (Page.frozen || !Page.choice) return;
    Page.choice = { ...Page.choice, ...change };
    Page.keep("sessionStorage", "choice", Page.choice);
    Page.chooser.show();
    askLetter();
  };

  async function changed() {
    if (!Page.choice) await askProject();
    if (!Page.choice) return;
    await askLetter();
    await askProject();
  }

  function connected(now) {
    if (now && lost) {
      lost = false;
      changed();
    } else if (!now) {
      lost = true;
      state("lost", "the preview has stopped; trying again");
    }
  }

  // ---- actions

  async function poll() {
    $("poll").disabled = true;
    state("waiting", "polling the feeds…");
    try {
      Page.say((await Page.server.ask("/api/fetch", {})).words);
      await askLetter();
      stale.add("dashboard");
      paint();
    } catch (error) {
      if (error.problem) Page.say(error.message, true);
      await askLetter();
    }
    $("poll").disabled = false;
  }

  async function sendTest(event) {
    event.preventDefault();
    const email = $("test-email").value.trim();
    const reply = $("test-reply");
    Page.keep("localStorage", "test-email", email);
    $("test-send").disabled = true;
    reply.className = "reply";
    reply.replaceChildren("sending…");
    try {
      const answer = await Page.server.ask("/api/test", { ...Page.choice, email });
      reply.className = "reply good";
      reply.replaceChildren(el("strong", {}, answer.words), el("p", {}, el("code", {}, answer.reply)));
    } catch (error) {
      reply.className = "reply bad";
      reply.replaceChildren(...Page.problemNode(error.problem || { message: error.message }).filter(Boolean));
    }
    $("test-send").disabled = false;
  }

  function openTest() {
    $("test-email").value = Page.recall("localStorage", "test-email") || "";
    $("test-reply").className = "reply";
    $("test-reply").replaceChildren();
    $("test").showModal();
  }

  function openHelp() {
    $("keys").replaceChildren(...KEYS.flatMap(([keys, words]) => [el("dt", {}, keys.split(" ").map((key) => (key === "–" ? " – " : el("kbd", {}, key)))), el("dd", {}, words)]));
    $("help").showModal();
  }

  function download() {
    const { letter } = Page;
    const name = `${letter.issue?.digest || "letter"}-${letter.issue?.number || "next"}.eml`.replace(/[^\w.-]+/g, "-");
    Page.download(name, letter.source.replace(/\r?\n/g, "\r\n"), "message/rfc822");
  }

  Page.shortcut = (event) => {
    const field = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (field || document.querySelector("dialog[open]") || !$("gate").hidden) return;
    const { view } = Page;
    const widths = { p: "phone", t: "tablet", d: "desktop", f: "fit" };
    const looks = {
      l: () => Page.letters.look("scheme", view.scheme === "dark" ? "light" : "dark"),
      i: () => Page.letters.look("images", !view.images),
      s: () => Page.letters.look("styles", !view.styles),
    };
    const tab = TABS[Number(event.key) - 1];
    if (tab) open(tab, { focus: true });
    else if (Object.hasOwn(widths, event.key)) Page.letters.look("width", widths[event.key]);
    else if (Object.hasOwn(looks, event.key)) looks[event.key]();
    else if (event.key === "/" && !$("as").disabled) Page.chooser.find();
    else if (event.key === "Escape") Page.letters.find(null);
    else if (event.key === "?") openHelp();
    else return;
    event.preventDefault();
  };

  // ---- the beginning

  function listeners() {
    $("tabs").addEventListener("click", (event) => {
      const tab = event.target.closest('[role="tab"]');
      if (tab) open(tab.id.slice(4));
    });
    $("tabs").addEventListener("keydown", tabKeys);
    document.addEventListener("keydown", Page.shortcut);
    document.addEventListener("click", (event) => event.target.closest("[data-close]")?.closest("dialog").close());
    $("poll").addEventListener("click", poll);
    $("copy-html").addEventListener("click", () => Page.copy("HTML", Page.letter.html));
    $("download").addEventListener("click", download);
    $("send-test").addEventListener("click", openTest);
    $("test-form").addEventListener("submit", sendTest);
    $("help-open").addEventListener("click", openHelp);
  }

  function thaw(data) {
    Page.frozen = data;
    Page.project = data.project;
    Page.choice = data.project.choice;
    Page.findings = data.findings;
    document.body.classList.add("frozen");
    $("kind").textContent = "preview, written to disk";
    for (const control of $("choice").querySelectorAll("select, input")) control.disabled = true;
    for (const button of document.querySelectorAll(".live")) button.hidden = true;
    Page.chooser.show();
    Page.checks.show(data.findings);
    accept(data.letter);
    state("frozen", data.letter.issue?.date ? `as of ${Page.moment(data.letter.issue.date)}` : "frozen");
  }

  async function begin() {
    const kept = Page.recall("sessionStorage", "view") || {};
    Page.view = { tab: "letter", width: innerWidth < 700 ? "fit" : "tablet", scheme: "light", images: true, styles: true, ...kept };
    if (!TABS.includes(Page.view.tab)) Page.view.tab = "letter";
    listeners();
    Page.letters.begin();
    Page.dashboard.begin();
    Page.chooser.begin();
    Page.draft.begin(Page.choose);
    const frozen = $("frozen");
    $("copy-html").disabled = $("download").disabled = true;
    open(Page.view.tab);
    if (frozen) return thaw(JSON.parse(frozen.textContent));
    if (!Page.server.takeKey()) return Page.server.refuse();
    Page.server.listen(changed, connected);
    await askProject();
    return Page.choice && askLetter();
  }

  begin();
})();
