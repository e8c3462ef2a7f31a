// What is shown: digest, issue, person, language, format; and the search for a person.
"use strict";

(() => {
  const { $, el } = Page;
  const people = { found: [], active: -1, asked: 0, timer: 0 };

  function options(select, items, value) {
    select.replaceChildren(...items.map(([key, words]) => el("option", { value: key }, words)));
    select.value = items.some(([key]) => key === value) ? value : items[0]?.[0] ?? "";
  }

  // Redraws the controls from the project and the choice; what the program's words are, they say.
  function show() {
    const { project, choice, letter } = Page;
    if (!project || !choice) return;
    $("title").textContent = project.title || "Preview";
    document.title = `${letter?.subject || project.title || "newsletter"} – preview`;
    options($("digest"), project.digests.map((digest) => [digest.name, digest.title && digest.title !== project.title && digest.title !== digest.name ? `${digest.name}: ${digest.title}` : digest.name]), choice.digest);
    const waiting = project.digests.find((digest) => digest.name === choice.digest)?.waiting;
    const past = project.issues.filter((issue) => issue.digest === choice.digest);
    options($("issue"), [["", waiting ? `next issue (${waiting} waiting)` : "next issue"],
      ...past.map((issue) => [String(issue.number), `No. ${issue.number}, ${Page.day(issue.frozen_at)}: ${issue.subject}`])], choice.issue === null ? "" : String(choice.issue));
    options($("language"), [["", "the reader's"], ...project.languages.map((language) => [language.tag, `${language.name} (${language.tag})`])], choice.language || "");
    $("format").value = choice.format || "";
    $("as-of").hidden = !choice.as_of;
    $("as-of").textContent = choice.as_of ? `as of ${Page.moment(choice.as_of)} ×` : "";
    $("as-of").setAttribute("aria-label", `As of ${Page.moment(choice.as_of)}: back to now`);
    $("send-test").title = project.smtp ? `Through ${project.smtp}` : "newsletter.yaml names no mail server (smtp:)";
    $("send-test").disabled = !project.smtp || Boolean(Page.frozen);
    showReader();
  }

  function showReader() {
    const input = $("as");
    const reader = Page.letter?.reader;
    if (document.activeElement !== input) input.value = Page.choice.as || "";
    input.placeholder = !Page.choice.as && reader?.email ? `the usual reader: ${reader.name || reader.email}` : "the usual reader";
    input.title = reader ? [reader.name, reader.email, reader.language, reader.format, reader.status].filter(Boolean).join(" · ") : "";
    $("as-reset").hidden = !Page.choice.as || Boolean(Page.frozen);
  }

  // ---- the combobox, as the ARIA practices describe it: the focus stays in the field, the list is pointed at

  function close() {
    $("people").hidden = true;
    $("as").setAttribute("aria-expanded", "false");
    $("as").removeAttribute("aria-activedescendant");
    people.active = -1;
    clearTimeout(people.timer);
    people.asked += 1;
  }

  function point(index) {
    const all = [...$("people").querySelectorAll('[role="option"]')];
    if (!all.length) return;
    people.active = (index + all.length) % all.length;
    all.forEach((node, at) => node.setAttribute("aria-selected", String(at === people.active)));
    $("as").setAttribute("aria-activedescendant", all[people.active].id);
    all[people.active].scrollIntoView({ block: "nearest" });
  }

  function take(person) {
    close();
    $("as").value = person?.email || "";
    if ((Page.choice.as || null) !== (person?.email || null)) Page.choose({ as: person?.email || null });
  }

  function option(person, index) {
    const node = el("li", { role: "option", id: `person-${index}`, "aria-selected": "false", "data-email": person ? person.email : "" },
      person
        ? [el("span", { class: "name", dir: "auto" }, person.name || person.email), el("span", { class: "quiet" }, person.email),
          el("span", { class: "quiet" }, [person.language, person.format].filter(Boolean).join(" · ")),
          el("span", { class: person.status === "active" ? "status" : "status off" }, person.status)]
        : el("span", { class: "name" }, "the usual reader"));
    // The field would lose the focus before the click arrives.
    node.addEventListener("mousedown", (event) => event.preventDefault());
    node.addEventListener("click", () => take(person));
    return node;
  }

  function open(answer) {
    people.found = [null, ...answer.people];
    const rest = answer.total - answer.people.length;
    const list = $("people");
    list.replaceChildren(...people.found.map(option));
    if (rest > 0) list.append(el("li", { class: "quiet rest", role: "presentation" }, `and ${Page.number(rest)} more: type more of the name`));
    if (!answer.people.length) list.append(el("li", { class: "quiet rest", role: "presentation" }, "nobody is like that"));
    list.hidden = false;
    $("as").setAttribute("aria-expanded", "true");
    people.active = -1;
  }

  function search() {
    clearTimeout(people.timer);
    const asked = (people.asked += 1);
    people.timer = setTimeout(async () => {
      const words = $("as").value.trim();
      const query = new URLSearchParams({ q: words === Page.choice.as ? "" : words, digest: Page.choice.digest || "" });
      try {
        const answer = await Page.server.ask(`/api/people?${query}`);
        // An answer that was overtaken by the next letter typed, or comes after the field was left, is dropped.
        if (asked === people.asked && document.activeElement === $("as")) open(answer);
      } catch (error) {
        if (asked === people.asked && !error.refused) Page.say(error.message, true);
      }
    }, 120);
  }

  function key(event) {
    const shown = !$("people").hidden;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      event.preventDefault();
      if (shown) point(people.active < 0 && event.key === "ArrowUp" ? -1 : people.active + moves[event.key]);
      else search();
    } else if (event.key === "Enter") {
      const words = $("as").value.trim();
      if (shown && people.active >= 0) take(people.found[people.active]);
      else if (!words) take(null);
      // An address typed in full needs no list; whether there is such a person the server says.
      else if (words.includes("@")) take({ email: words });
      else if (shown && people.found.length === 2) take(people.found[1]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (!shown) $("as").value = Page.choice.as || "";
      close();
    }
  }

  function begin() {
    const on = (id, change) => $(id).addEventListener("change", (event) => Page.choose(change(event.target.value)));
    // Entries and sections belong to one issue of one digest: another one begins anew.
    on("digest", (value) => ({ digest: value, issue: null, hidden: [], order: [] }));
    on("issue", (value) => ({ issue: value ? Number(value) : null, hidden: [], order: [] }));
    on("language", (value) => ({ language: value || null }));
    on("format", (value) => ({ format: value || null }));
    $("as-of").addEventListener("click", () => Page.choose({ as_of: null }));
    $("as-reset").addEventListener("click", () => {
      take(null);
      $("as").focus();
      close();
    });
    $("as").addEventListener("input", search);
    $("as").addEventListener("focus", () => $("as").select());
    $("as").addEventListener("click", search);
    $("as").addEventListener("keydown", key);
    $("as").addEventListener("blur", () => {
      close();
      $("as").value = Page.choice?.as || "";
    });
  }

  Page.chooser = {
    begin,
    show,
    find() {
      $("as").focus();
      search();
    },
  };
})();
