// Talking to the preview's server: the key of this run, questions and answers, and the stream of changes.
"use strict";

(() => {
  const LONGEST_WAIT = 15000;
  let key = "";

  function takeKey() {
    const given = decodeURIComponent(location.hash.slice(1));
    // Not every fragment is a key: "To the letter" leaves one of our own.
    if (given && !document.getElementById(given)) {
      Page.keep("sessionStorage", "key", given);
      // Out of the address at once: it must not be bookmarked, shared on a screen, or sent along by a link.
      history.replaceState(null, "", location.pathname + location.search);
    }
    key = Page.recall("sessionStorage", "key") || "";
    return key;
  }

  function refuse() {
    Page.$("gate").hidden = false;
    for (const node of document.body.children) if (node.id !== "gate") node.inert = true;
    document.body.classList.add("refused");
  }

  function call(path, body, signal) {
    const headers = { "X-Newsletter-Token": key };
    if (body) headers["Content-Type"] = "application/json";
    return fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal,
    });
  }

  // Asks; what went wrong is thrown as an Error with a `problem`, or with `lost` when nobody answers.
  async function ask(path, body, signal) {
    let answer;
    try {
      answer = await call(path, body, signal);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw Object.assign(new Error("the preview does not answer"), { lost: true });
    }
    if (answer.status === 403) {
      refuse();
      throw Object.assign(new Error("wrong key"), { refused: true });
    }
    const read = await answer.json().catch((error) => {
      if (error.name === "AbortError") throw error;
      return {};
    });
    if (answer.ok) return read;
    const problem = read.problem || { kind: "other", message: `the preview answers ${answer.status}`, hint: "see the terminal it runs in" };
    throw Object.assign(new Error(problem.message), { problem });
  }

  // Events as the HTML standard frames them, so far as we use them: blocks of `field: value`, comments begin with ":".
  function parse(block) {
    const event = { name: "message", data: "" };
    for (const line of block.split("\n")) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === "event") event.name = value;
      if (field === "data") event.data += value;
    }
    return event;
  }

  async function follow(answer, changed) {
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true }).replaceAll("\r\n", "\n");
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const event of blocks.map(parse)) if (event.name === "changed") changed(JSON.parse(event.data || "{}"));
    }
  }

  // Listens for as long as the page is open; a lost connection is tried again, less and less often.
  async function listen(changed, connected) {
    let wait = 500;
    for (;;) {
      try {
        const answer = await call("/api/events");
        if (answer.status === 403) return refuse();
        if (answer.ok && answer.body) {
          wait = 500;
          connected(true);
          await follow(answer, changed);
        }
      } catch {
        // Said below, and tried again.
      }
      connected(false);
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }

  Page.server = { takeKey, refuse, ask, listen };
})();
