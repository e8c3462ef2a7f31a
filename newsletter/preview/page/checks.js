// The findings of `newsletter check` on this letter: grouped, explained, each with a way to its place.
"use strict";

(() => {
  const { $, el } = Page;
  const LEVELS = {
    error: ["Errors", "Readers or their servers will stumble over these."],
    warning: ["Warnings", "Some readers or filters will mind these."],
    ok: ["In order", "Looked at, and nothing need be done."],
  };
  const tally = (findings, level) => findings.filter((finding) => finding.level === level).length;

  function badge(findings) {
    const counts = $("counts");
    counts.replaceChildren();
    if (!findings) return;
    for (const level of ["error", "warning"]) {
      const count = tally(findings, level);
      if (count) counts.append(el("span", { class: `badge ${level}`, title: Page.count(count, level) }, String(count), el("span", { class: "unseen" }, count === 1 ? ` ${level} ` : ` ${level}s `)));
    }
    if (!counts.childElementCount) counts.append(el("span", { class: "badge ok" }, "✓", el("span", { class: "unseen" }, " all in order")));
  }

  function ways(finding) {
    if (!finding.line || !Page.letter?.html) return null;
    return el("span", { class: "ways" },
      el("button", { type: "button", "data-show": finding.line, "aria-label": `Show line ${finding.line} of the HTML part`, click: () => Page.showLine(finding.line) }, "show"),
      el("button", { type: "button", "data-find": finding.line, "aria-label": `Show line ${finding.line} in the letter`, click: () => Page.findLine(finding.line) }, "in the letter"));
  }

  function card(finding) {
    const detail = (name, text) => text && [el("dt", {}, name), el("dd", {}, text)];
    return el("li", { class: `finding ${finding.level}`, "data-rule": finding.rule },
      el("p", { class: "text" }, finding.what && el("span", { class: "what" }, finding.what), " ", finding.text),
      el("dl", {}, detail("Why", finding.why), detail("How to fix", finding.hint)),
      el("p", { class: "foot" },
        finding.where && el("span", { class: "where" }, finding.where),
        finding.rule && el("code", { class: "rule", title: "The rule's name" }, finding.rule),
        ways(finding)));
  }

  function group(findings, level) {
    const mine = findings.filter((finding) => finding.level === level);
    if (!mine.length) return null;
    const [title, about] = LEVELS[level];
    return el("section", { class: "group", "data-level": level },
      el("h3", {}, `${title} `, el("span", { class: `badge ${level}` }, String(mine.length))),
      el("p", { class: "quiet" }, about),
      el("ul", { class: level === "ok" ? "findings calm" : "findings" }, mine.map(card)));
  }

  function show(findings, problem) {
    badge(findings);
    const panel = $("panel-checks");
    const title = el("h2", { class: "unseen" }, "Checks");
    if (problem) return panel.replaceChildren(title, el("div", { class: "finding error" }, ...Page.problemNode(problem).filter(Boolean)));
    if (!findings) return panel.replaceChildren(title, el("p", { class: "empty" }, Page.letter ? "Looking…" : "There is no letter to look at yet."));
    const bad = tally(findings, "error") + tally(findings, "warning");
    return panel.replaceChildren(title,
      ...(bad === 0 ? [el("p", { class: "praise" }, findings.length ? "Everything is in order." : "Nothing was looked at.")] : []),
      ...["error", "warning", "ok"].map((level) => group(findings, level)).filter(Boolean));
  }

  Page.checks = { show };
})();
