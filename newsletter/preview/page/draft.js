// A draft that waits for its editor: how it stands, and the buttons that answer. Nothing else here changes the project.
"use strict";

(() => {
  const { $ } = Page;
  let draft = null;

  function show(letter) {
    draft = Page.frozen ? null : letter.draft || null;
    $("draft").hidden = !draft;
    if (!draft) return;
    $("draft-words").textContent = `Draft of issue ${draft.number}, for ${draft.slot}: ${draft.words}. Letter ${draft.fingerprint}.`;
    $("draft").dataset.state = draft.approved ? "approved" : "waiting";
    $("draft-keep").hidden = !draft.can_keep;
    $("draft-approve").hidden = draft.approved || draft.can_keep;
  }

  async function answer(word, again) {
    const buttons = $("draft").querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    try {
      const found = await Page.server.ask("/api/draft", { ...Page.choice, answer: word, fingerprint: draft.fingerprint });
      Page.say(found.words);
      again(word === "keep" ? { hidden: [], order: [] } : {});
    } catch (error) {
      if (error.problem) Page.say(`${error.message}${error.problem.hint ? ` (${error.problem.hint})` : ""}`, true);
    }
    for (const button of buttons) button.disabled = false;
  }

  function begin(again) {
    $("draft-approve").addEventListener("click", () => answer("approve", again));
    $("draft-keep").addEventListener("click", () => answer("keep", again));
    $("draft-cancel").addEventListener("click", () => $("cancel").showModal());
    $("cancel-yes").addEventListener("click", () => {
      $("cancel").close();
      answer("cancel", again);
    });
  }

  Page.draft = { show, begin };
})();
