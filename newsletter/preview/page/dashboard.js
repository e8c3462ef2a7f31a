// How the project stands: the last issues, the feeds' health, how the readership grows. What `newsletter status` says.
"use strict";

(() => {
  const { $, el } = Page;
  const STATES = ["sent", "queued", "sending", "deferred", "unknown", "held", "failed", "suppressed"];
  const SHOWN = 20;
  const TICKS = { sent: "sent", nothing: "nothing to send", late: "passed by", failed: "failed" };
  const HEALTH = { ok: "healthy", never: "not polled yet", hiccup: "hiccup", failing: "failing", held: "held", paused: "paused" };
  let status = null;
  let drawnWidth = 0;

  const legend = (items) => el("ul", { class: "legend" }, items.map(([kind, words]) => el("li", {}, el("span", { class: `swatch ${kind}` }), words)));
  const empty = (words) => el("p", { class: "empty" }, words);
  const block = (id, title, ...children) => el("section", { class: "card", id, "aria-label": title }, el("h3", {}, title), ...children);

  function tile(words, value, about, kind) {
    return el("li", { class: kind ? `tile ${kind}` : "tile" }, el("span", { class: "value" }, value), el("span", { class: "words" }, words), about && el("span", { class: "quiet" }, about));
  }

  function tiles() {
    const waiting = status.digests.reduce((sum, digest) => sum + digest.waiting, 0);
    const bad = status.feeds.filter((feed) => (feed.troubles || []).length || feed.status === "failing" || feed.status === "held").length;
    const last = status.issues[0];
    const unsettled = status.issues.reduce((sum, issue) => sum + (issue.unsettled || 0) + (issue.held || 0), 0);
    return el("ul", { class: "tiles" },
      tile(status.subscribers === 1 ? "subscriber" : "subscribers", Page.number(status.subscribers), Page.count(status.suppressions, "suppression")),
      tile("entries waiting", Page.number(waiting), status.digests.map((digest) => `${digest.name} ${digest.waiting}`).join(" · ")),
      tile(status.feeds.length === 1 ? "feed" : "feeds", Page.number(status.feeds.length), bad ? `${bad} in trouble` : status.feeds.length ? "all healthy" : "none yet", bad ? "warning" : ""),
      tile("deliveries not settled", Page.number(unsettled), unsettled ? "see newsletter delivery list" : "the outbox is empty", unsettled ? "warning" : ""),
      tile("last issue", last ? `No. ${last.number}` : "none", last ? `${last.digest} · ${Page.ago(last.frozen_at)}` : "nothing was sent yet"));
  }

  // A table that scrolls where it must; a head that begins with ">" is of numbers.
  const wide = (label, heads, rows) => el("div", { class: "wide", role: "region", "aria-label": label, tabindex: "0" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col", class: head[0] === ">" ? "n" : null }, head.replace(">", ""))))),
    el("tbody", {}, rows.map(([first, ...cells]) => el("tr", {}, el("th", { scope: "row" }, first),
      cells.map((cell, index) => (heads[index + 1][0] === ">" ? el("td", { class: "n" }, cell) : el("td", { dir: "auto" }, cell))))))));

  // Several machines at one issue: only where there are any. A bar shows how much of an issue is settled.
  function machines() {
    const { workers = [], shares = [], rates = [], servers = [], nobody_sends: nobody } = status.spread || {};
    if (!workers.length && !shares.length && !servers.length) return "";
    const done = (share) => share.shards - share.sending - share.left;
    return block("machines", "At work",
      nobody && el("p", { class: "warning" }, "Messages may go now, and nobody is sending: newsletter worker, or newsletter send."),
      shares.map((share) => el("div", { class: "share", "data-issue": `${share.digest} ${share.number}` },
        el("p", {}, el("b", {}, `${share.digest} ${share.number}`), ` · ${share.words}`),
        el("progress", { max: share.messages, value: share.messages - share.backlog, "aria-label": `Messages of ${share.digest} ${share.number} that are settled` }),
        el("p", { class: "quiet" }, `${Page.count(share.backlog, "message")} to come`, share.waiting ? `, ${Page.number(share.waiting)} wait for their hours` : "",
          ` · ${Page.number(done(share))} of ${Page.count(share.shards, "shard")} done, ${Page.number(share.sending)} being sent`))),
      workers.length > 0 && wide("Workers", ["Worker", ">Shards", "Version", "Note", "Since"],
        workers.map((one) => [`${one.host} ${one.pid}`, Page.number(one.shards), one.version, one.notes.join(", "), Page.moment(one.started_at)])),
      rates.length > 0 && wide("Rates", ["Rate", "For messages to", ">Used just now"],
        rates.map((one) => [one.rate, one.domain || "everybody", Page.number(one.used)])),
      servers.length > 0 && wide("Servers that are left alone", ["Server left alone", "Until", "Why"],
        servers.map((one) => [one.server, one.seconds ? Page.clock(Date.now() + one.seconds * 1000) : one.prober ? "tried out now" : "may be tried", one.reason])));
  }

  const used = (issues) => STATES.filter((state) => issues.some((issue) => issue.counts?.[state]));

  // What came of a slot: an issue, or why there is none.
  function tick(one) {
    const came = one.number ? `issue ${one.number}` : TICKS[one.outcome] || one.outcome;
    return el("li", { class: `tick ${one.outcome}` },
      el("span", { class: "when" }, one.slot), el("span", { class: "came" }, el("span", { class: "dot", "aria-hidden": "true" }), came),
      el("span", { class: "why quiet", dir: "auto" }, one.why));
  }

  function schedule(digest) {
    const ticks = digest.last_ticks || [];
    const next = (digest.next_slots || []).join(" · ");
    return el("div", { class: "schedule", "data-digest": digest.name },
      el("p", {}, el("b", {}, digest.name), " ", digest.schedule || "is sent by hand"),
      next && el("p", { class: "quiet" }, `next: ${next} (${digest.timezone})`),
      ticks.length ? el("ul", { "aria-label": `Last slots of ${digest.name}` }, ticks.map(tick))
        : digest.schedule && el("p", { class: "quiet" }, "No slot has come yet, or nobody looked: newsletter run, or schedule install."));
  }

  function schedules() {
    return block("schedules", "Schedule", status.digests.map(schedule));
  }

  function numbers() {
    const issues = status.issues.slice(0, SHOWN);
    const states = used(issues);
    if (!issues.length) return "";
    const name = (issue) => [`${issue.digest} ${issue.number} `, el("span", { class: "subject quiet", dir: "auto" }, issue.subject)];
    const state = (issue) => (issue.opens_at ? `${issue.words}, from ${Page.moment(issue.opens_at)}` : issue.words);
    const cells = (issue) => states.map((one) => (issue.counts?.[one] ? Page.number(issue.counts[one]) : "–"));
    return block("numbers", "In numbers", wide("Last issues, in numbers", ["Issue", "Frozen", "State", ">Entries", ...states.map((one) => `>${one}`)],
      issues.map((issue) => [name(issue), Page.moment(issue.frozen_at), state(issue), Page.number(issue.entries), ...cells(issue)])));
  }

  function issues(width) {
    if (!status.issues.length) return block("last-issues", "Last issues", empty("No issue was frozen yet. The first one is made by newsletter send."));
    const shown = status.issues.slice(0, SHOWN);
    const states = used(shown);
    const items = shown.map((issue) => ({
      label: Page.day(issue.frozen_at),
      title: `${issue.digest} ${issue.number}: ${states.map((state) => `${issue.counts?.[state] || 0} ${state}`).join(", ")}`,
      parts: states.map((state) => ({ kind: state, value: issue.counts?.[state] || 0 })),
    })).reverse();
    return block("last-issues", "Last issues",
      states.length ? [legend(states.map((state) => [state, state])), Page.charts.columns(items, { width, label: "Deliveries of the last issues, by state" })] : empty("No deliveries yet."));
  }

  function growth(width) {
    const byDigest = new Map();
    for (const point of status.growth || []) {
      if (!byDigest.has(point.digest)) byDigest.set(point.digest, []);
      byDigest.get(point.digest).push({ at: new Date(point.at), value: point.recipients });
    }
    if (!byDigest.size) return block("growth", "Recipients per issue", empty("There is nothing to compare yet: every issue adds a point."));
    const series = [...byDigest].map(([name, points], index) => ({ kind: `s${index % 4}`, name, points: points.sort((a, b) => a.at - b.at) }));
    const latest = (one) => `${one.name} ${Page.number(one.points[one.points.length - 1].value)}`;
    return block("growth", "Recipients per issue", legend(series.map((one) => [one.kind, latest(one)])),
      Page.charts.lines(series, { width, label: `Recipients per issue: ${series.map(latest).join(", ")}` }));
  }

  function feed(one) {
    const total = (one.per_day || []).reduce((sum, day) => sum + day.entries, 0);
    return el("li", { class: `feed ${one.status}`, "data-feed": one.url },
      el("span", { class: "health" }, el("span", { class: "dot", "aria-hidden": "true" }), HEALTH[one.status] || one.status),
      el("div", { class: "who" },
        el("p", { class: "name" }, Page.link(one.url, one.title || one.url, { dir: "auto" })),
        el("p", { class: "quiet" }, `${Page.count(one.entries, "entry", "entries")} known`, one.held ? `, ${one.held} held` : "", ` · last success ${Page.ago(one.last_success_at)}`),
        one.last_error && el("p", { class: "error" }, one.last_error, one.failures > 1 ? ` (${one.failures} times in a row)` : ""),
        one.last_error && one.last_hint && el("p", { class: "hint" }, "hint: ", one.last_hint),
        (one.troubles || []).filter((item) => item.trouble !== "failing").map((item) =>
          [el("p", { class: "error" }, item.words), item.hint && el("p", { class: "hint" }, "hint: ", item.hint)])),
      el("div", { class: "days" }, Page.charts.spark(one.per_day || [], { label: `${Page.count(total, "entry", "entries")} in 30 days` }),
        el("span", { class: "quiet" }, `${total} in 30 days`)));
  }

  function feeds() {
    if (!status.feeds.length) return block("feeds", "Feeds", empty("No feeds yet: newsletter feed add https://…"));
    const worst = { failing: 0, held: 1, paused: 2, hiccup: 3, never: 4, ok: 5 };
    const sorted = [...status.feeds].sort((a, b) => worst[a.status] - worst[b.status]);
    return block("feeds", "Feeds", el("ul", { class: "feeds" }, sorted.map(feed)));
  }

  function draw() {
    const panel = $("panel-dashboard");
    const width = panel.clientWidth;
    if (!status || !width) return;
    drawnWidth = width;
    const room = Math.max(240, Math.min(width, 1240) - 34);
    const half = width >= 900 ? Math.floor((room + 34 - 16) / 2) - 34 : room;
    panel.replaceChildren(el("h2", { class: "unseen" }, "Dashboard"),
      el("div", { class: "board" }, tiles(), machines(), schedules(), el("div", { class: "two" }, issues(half), growth(half)), feeds(), numbers()));
  }

  function show(answer) {
    if (answer) status = answer;
    if (status) draw();
    else $("panel-dashboard").replaceChildren(el("p", { class: "empty" }, "Counting…"));
  }

  function begin() {
    new ResizeObserver(() => {
      if (Math.abs($("panel-dashboard").clientWidth - drawnWidth) > 8) draw();
    }).observe($("panel-dashboard"));
  }

  // Only what changes while one looks on: whoever reads or scrolls the rest is left in peace.
  function follow(answer) {
    status = answer;
    const now = machines();
    const before = $("machines");
    if (!before || !now) return draw();
    before.replaceWith(now);
    document.querySelector("#panel-dashboard .tiles").replaceWith(tiles());
  }

  const isBusy = () => Boolean(status?.spread?.shares?.length);

  Page.dashboard = { begin, show, follow, isBusy };
})();
