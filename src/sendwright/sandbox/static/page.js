// Asks for the changing part of the page once a second and swaps it in when it has changed.
// The part is made and escaped by the server; nothing is put together here. What is being written stays.
"use strict";

const shown = document.getElementById("shown");
let mark = "";

// Only what has changed is taken out, so that an open mail stays open and its frame is not loaded again.
function swap(part) {
  for (const opened of shown.querySelectorAll("details[open]")) {
    const anew = part.querySelector(`details[data-seq="${opened.dataset.seq}"]`);
    if (anew) anew.open = true;
  }
  for (const section of [...part.children]) {
    const old = document.getElementById(section.id);
    if (!old) shown.append(section);
    else if (!old.isEqualNode(section)) old.replaceWith(section);
  }
}

async function look() {
  try {
    const headers = mark ? { "If-None-Match": mark } : {};
    const answer = await fetch(shown.dataset.fragment, { headers, cache: "no-store" });
    if (answer.status === 200) {
      mark = answer.headers.get("ETag") || "";
      const part = new DOMParser().parseFromString(await answer.text(), "text/html");
      const places = [".wide", ".phone"].map((name) => {
        const old = shown.querySelector(name);
        return old && { name, left: old.scrollLeft, top: old.scrollTop, held: old === document.activeElement };
      });
      const drafts = [...shown.querySelectorAll("form.back")].map((form) => {
        const box = form.elements.text;
        return { to: form.dataset.to, text: box.value, said: form.querySelector("output").textContent, held: box === document.activeElement };
      });
      swap(part.body);
      for (const draft of drafts) {
        const form = [...shown.querySelectorAll("form.back")].find((each) => each.dataset.to === draft.to);
        if (!form) continue;
        form.elements.text.value = draft.text;
        form.querySelector("output").textContent = draft.said;
        if (draft.held) form.elements.text.focus({ preventScroll: true });
      }
      for (const place of places) {
        const anew = place && shown.querySelector(place.name);
        if (!anew) continue;
        anew.scrollTo(place.left, place.top);
        if (place.held) anew.focus({ preventScroll: true });
      }
    }
    document.body.classList.remove("away");
  } catch {
    document.body.classList.add("away");
  }
  setTimeout(look, document.hidden ? 5000 : 1000);
}

// What a person writes back to the newest message of a conversation.
shown.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, box = form.elements.text, told = form.querySelector("output");
  const body = JSON.stringify({ seq: Number(form.dataset.seq), text: box.value });
  try {
    const answer = await fetch(shown.dataset.reply, { method: "POST", body });
    const problem = answer.ok ? null : await answer.json();
    told.textContent = problem ? problem.detail : "";
    if (!problem) box.value = "";
  } catch {
    document.body.classList.add("away");
  }
});

look();
