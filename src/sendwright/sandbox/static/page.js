// Asks for the changing part of the page once a second and swaps it in when it has changed.
// The part is made and escaped by the server; nothing is put together here.
"use strict";

const shown = document.getElementById("shown");
let mark = "";

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
      shown.replaceChildren(...part.body.children);
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

look();
