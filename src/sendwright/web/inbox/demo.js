/* The demo page around the element. The token comes from the field, or from the address behind `#`, which no server ever sees. */

const inbox = document.querySelector("#inbox");
const field = document.querySelector("#token");
const stands = document.querySelector("#stands");
const events = document.querySelector("#events");
const EVENTS_MAX = 30;

const authorized = `-H "Authorization: Bearer $(cat data/admin_key)"`;
document.querySelector("#make-token").textContent = `curl -sS -X POST ${location.origin}/v1/recipients/ada/token \\\n  ${authorized}`;
document.querySelector("#post").textContent = [
  `curl -sS ${location.origin}/v1/notifications \\`,
  `  ${authorized} -H "Content-Type: application/json" \\`,
  `  -d '{"to": {"id": "ada"}, "channels": ["inapp"], "content": {`,
  `        "title": "Shipped", "body": "Your order is on its way.",`,
  `        "actions": [{"id": "track", "label": "Track it"}]}}'`,
].join("\n");

function use(token) {
  stands.textContent = "Trying the token…";
  inbox.token = token.trim();
}

document.querySelector("#sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  use(field.value);
});

document.querySelector("#theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
});

for (const name of ["sendwright-count", "sendwright-item", "sendwright-action", "sendwright-error"]) {
  inbox.addEventListener(name, ({ detail }) => {
    events.querySelector(".none")?.remove();
    const line = document.createElement("li");
    line.textContent = `${name} ${JSON.stringify(shortened(detail))}`;
    events.prepend(line);
    while (events.children.length > EVENTS_MAX) events.lastChild.remove();
  });
}

inbox.addEventListener("sendwright-count", ({ detail }) => {
  stands.textContent = `The inbox is open: ${detail.unread} unread of ${detail.total}.`;
});
inbox.addEventListener("sendwright-error", ({ detail }) => {
  stands.textContent = detail.status === 401 ? "This token is not valid, or is over. Make a new one." : "The API does not answer.";
});

/** What is worth a line: of an item its id and title. */
function shortened({ item, ...rest }) {
  return item ? { item: { id: item.id, title: item.title }, ...rest } : rest;
}

function fromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  history.replaceState(null, "", location.pathname);
  use(token);
}

window.addEventListener("hashchange", fromAddress);
fromAddress();
