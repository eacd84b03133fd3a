/*
 * <sendwright-inbox>: the bell of an in-app inbox. Plain JavaScript without a build step; how to embed it is in docs/inbox.md.
 *
 * Rules of this file. What the API says is text: it reaches the page by textContent alone, and an address is followed or shown only
 * where its scheme is on a list. No style is written into the page, so that the strictest content security policy lets it be. A token
 * leaves in the Authorization header of calls to `base`, and in no other way. A tab that nobody sees asks for nothing.
 */

const VIEWS = ["all", "unread", "archived", "snoozed"];
const PAGE = 20;
const PAGE_MAX = 500;
const LINKS = new Set(["http:", "https:", "mailto:", "tel:"]);
const PICTURES = new Set(["http:", "https:"]);
const WAIT_MIN = 1000;
const WAIT_MAX = 30000;
const SILENT_MAX = 45000; // the stream says something every 15 s: three times nothing means that the line is dead
const UNDO_FOR = 6000;

const LABELS = {
  title: "Notifications",
  bell: "Notifications",
  bellUnread: "Notifications, {count} unread",
  counted: "{count} unread",
  views: "Show",
  all: "All",
  unread: "Unread",
  archived: "Archived",
  snoozed: "Snoozed",
  markAllRead: "Mark all as read",
  close: "Close",
  markRead: "Mark as read",
  markUnread: "Mark as unread",
  archive: "Archive",
  snooze: "Snooze",
  restore: "Move back to the inbox",
  snoozeHour: "1 hour",
  snoozeTomorrow: "Tomorrow",
  snoozeWeek: "Next week",
  until: "Until {time}",
  now: "now",
  unreadItem: "Unread",
  doneArchived: "Archived",
  doneSnoozed: "Snoozed until {time}",
  doneRestored: "Moved back to the inbox",
  doneAllRead: "All marked as read",
  undo: "Undo",
  emptyAll: "You're all caught up",
  emptyAllMore: "New notifications show up here.",
  emptyUnread: "Nothing unread",
  emptyUnreadMore: "You have seen everything.",
  emptyArchived: "Nothing archived",
  emptyArchivedMore: "What you archive is kept here.",
  emptySnoozed: "Nothing snoozed",
  emptySnoozedMore: "What you snooze waits here until its time comes.",
  loading: "Loading",
  failed: "Notifications can't be loaded right now",
  retry: "Try again",
  signedOut: "You are signed out",
  signedOutMore: "Sign in again to see your notifications.",
  offline: "No connection. Trying again…",
  notDone: "That did not work. Please try again.",
};

const ICONS = {
  bell: "M6 8a6 6 0 0 1 12 0c0 7 3 9 3 9H3s3-2 3-9M10.3 21a1.94 1.94 0 0 0 3.4 0",
  checks: "M18 6 7 17l-5-5M22 10l-7.5 7.5L13 16",
  check: "M20 6 9 17l-5-5",
  mail: "M3 6h18v13H3zM3 7l9 6.5L21 7",
  clock: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 7v5l3 2",
  archive: "M3 4h18v5H3zM5 9v11h14V9M10 13h4",
  restore: "M9 14 4 9l5-5M4 9h10.5a5.5 5.5 0 0 1 0 11H11",
  close: "M18 6 6 18M6 6l12 12",
  cloud: "M12 8v5M12 16.5v.01M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18",
};

const STYLE = `
:host {
  --_accent: var(--sendwright-accent, light-dark(#4f46e5, #8b8cf8));
  --_on-accent: var(--sendwright-on-accent, light-dark(#fff, #14141f));
  --_bg: var(--sendwright-background, light-dark(#fff, #18181f));
  --_text: var(--sendwright-text, light-dark(#16161d, #f0f0f5));
  --_muted: var(--sendwright-muted, light-dark(#63636f, #a0a0b0));
  --_line: var(--sendwright-border, light-dark(#e6e6ec, #2d2d38));
  --_hover: var(--sendwright-hover, light-dark(#f5f5f8, #21212a));
  --_tint: var(--sendwright-unread, color-mix(in srgb, var(--_accent) 6%, transparent));
  --_badge: var(--sendwright-badge, light-dark(#dc2626, #f04545));
  --_on-badge: var(--sendwright-on-badge, #fff);
  --_radius: var(--sendwright-radius, 14px);
  --_inner: calc(var(--_radius) * .55);
  display: inline-block; position: relative; line-height: 1.45;
  font-family: var(--sendwright-font, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  font-size: var(--sendwright-font-size, 14px);
}
:host([hidden]) { display: none; }
:host([theme=light]) { color-scheme: light; }
:host([theme=dark]) { color-scheme: dark; }
:host([theme=auto]) { color-scheme: light dark; }
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
button, a { font: inherit; color: inherit; text-decoration: none; -webkit-tap-highlight-color: transparent; }
button { background: none; border: 0; padding: 0; margin: 0; cursor: pointer; text-align: inherit; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
svg { display: block; width: 1em; height: 1em; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.sr { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.bell {
  position: relative; display: grid; place-items: center; border-radius: 50%; color: var(--sendwright-bell, currentColor);
  width: var(--sendwright-bell-size, 40px); height: var(--sendwright-bell-size, 40px); transition: background .15s;
}
.bell:hover, .bell[aria-expanded=true] { background: color-mix(in srgb, currentColor 9%, transparent); }
.bell svg { width: 55%; height: 55%; transform-origin: 50% 10%; }
.badge {
  position: absolute; inset-block-start: 2px; inset-inline-start: 52%; min-width: 18px; height: 18px; padding: 0 5px; border-radius: 9px;
  background: var(--_badge); color: var(--_on-badge); font-size: 11px; font-weight: 650; line-height: 18px; text-align: center;
  font-variant-numeric: tabular-nums; box-shadow: 0 0 0 2px var(--sendwright-badge-ring, Canvas);
}

.panel {
  position: fixed; inset: auto; margin: 0; padding: 0; z-index: var(--sendwright-z, 1000); display: none; flex-direction: column; overflow: hidden;
  inset-block-start: var(--_top, 56px); left: var(--_left, 8px);
  width: min(var(--sendwright-width, 420px), calc(100vw - 16px)); height: auto; max-width: none;
  max-height: min(var(--sendwright-height, 620px), var(--_room, 80vh));
  background: var(--_bg); color: var(--_text); border: 1px solid var(--_line); border-radius: var(--_radius); text-align: start;
  box-shadow: var(--sendwright-shadow, 0 1px 2px rgb(0 0 0 / .06), 0 12px 40px -8px rgb(0 0 0 / .22));
}
.panel.open { display: flex; }
.panel:focus { outline: none; }
header { display: flex; align-items: center; gap: 2px; padding: 14px 12px 8px 18px; }
h2 { margin: 0; font-size: 1.143em; font-weight: 650; letter-spacing: -.01em; flex: 1; min-width: 0; }
.icon {
  display: grid; place-items: center; width: 32px; height: 32px; border-radius: var(--_inner); color: var(--_muted); font-size: 18px;
  flex: none; transition: background .12s, color .12s;
}
.icon:hover { background: color-mix(in srgb, var(--_text) 9%, transparent); color: var(--_text); }
.icon:disabled { opacity: .4; cursor: default; background: none; color: var(--_muted); }
.tabs { display: flex; gap: 4px; padding: 0 14px; border-bottom: 1px solid var(--_line); overflow-x: auto; scrollbar-width: none; flex: none; }
.tabs button {
  position: relative; padding: 7px 6px 10px; color: var(--_muted); font-weight: 500; white-space: nowrap; display: flex; gap: 6px; align-items: center;
}
.tabs button:focus-visible { outline-offset: -3px; border-radius: 8px; }
.tabs button:hover { color: var(--_text); }
.tabs [aria-selected=true] { color: var(--_text); }
.tabs [aria-selected=true]::after {
  content: ""; position: absolute; inset-inline: 6px; inset-block-end: 0; height: 2px; border-radius: 2px 2px 0 0; background: var(--_accent);
}
.pill {
  font-size: 11px; font-weight: 600; line-height: 18px; min-width: 18px; padding: 0 5px; border-radius: 9px; text-align: center;
  font-variant-numeric: tabular-nums; color: var(--_accent); background: color-mix(in srgb, var(--_accent) 13%, transparent);
}
.scroll { overflow-y: auto; overscroll-behavior: contain; flex: 0 1 auto; min-height: min(300px, 45vh); scrollbar-width: thin; scrollbar-color: var(--_line) transparent; }
.scroll:focus-visible { outline-offset: -3px; }
ul { list-style: none; margin: 0; padding: 0; }
.item { position: relative; border-bottom: 1px solid var(--_line); transition: background .12s; }
.item:last-child { border-bottom-color: transparent; }
.item.unread { background: var(--_tint); }
.item:hover, .item:focus-within { background: var(--_hover); }
.item.unread:hover, .item.unread:focus-within { background: color-mix(in srgb, var(--_accent) 10%, transparent); }
.main { display: flex; gap: 12px; width: 100%; padding: 13px 18px; cursor: pointer; }
.main:focus-visible { outline-offset: -3px; border-radius: 10px; }
.face {
  flex: none; width: 36px; height: 36px; border-radius: 50%; overflow: hidden; display: grid; place-items: center; font-size: 18px;
  color: var(--_accent); background: color-mix(in srgb, var(--_accent) 12%, transparent);
}
.face img { width: 100%; height: 100%; object-fit: cover; display: block; }
.words { flex: 1; min-width: 0; display: block; overflow-wrap: anywhere; }
.first { display: flex; gap: 10px; align-items: baseline; }
.title { flex: 1; min-width: 0; font-weight: 600; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.read .title { font-weight: 500; }
.at { flex: none; display: flex; align-items: center; gap: 7px; font-size: .857em; color: var(--_muted); white-space: nowrap; font-variant-numeric: tabular-nums; }
.unread .at::after { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--_accent); }
.body {
  margin-top: 1px; color: var(--_muted); white-space: pre-line; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden;
}
.whole .title, .whole .body { display: block; }
.bare .body { color: var(--_text); margin: 0; flex: 1; min-width: 0; }
.until { display: inline-flex; align-items: center; gap: 5px; margin-top: 5px; font-size: .857em; color: var(--_muted); }
.actions, .later { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; padding-block: 0 14px; padding-inline: 66px 18px; }
.actions { margin-top: -3px; }
.later { color: var(--_muted); font-size: .929em; gap: 6px; }
.later svg { font-size: 16px; }
.later .button { border-radius: 99px; font-size: 1em; }
.button {
  display: inline-block; padding: 5px 12px; border-radius: var(--_inner); border: 1px solid var(--_line); background: var(--_bg); color: var(--_text);
  font-size: .929em; font-weight: 550; line-height: 1.4; max-width: 100%; overflow-wrap: anywhere; transition: filter .12s, background .12s;
}
.button:hover { background: var(--_hover); }
.button.first-of { border-color: transparent; background: var(--_accent); color: var(--_on-accent); }
.button.first-of:hover { filter: brightness(1.08); }
.tools {
  position: absolute; inset-block-start: 8px; inset-inline-end: 12px; display: flex; padding: 2px; border-radius: calc(var(--_inner) + 2px);
  background: var(--_bg); border: 1px solid var(--_line); box-shadow: 0 2px 8px rgb(0 0 0 / .08); opacity: 0; pointer-events: none; transition: opacity .1s;
}
.tools .icon:focus-visible { outline-offset: -2px; }
.tools .icon { width: 28px; height: 28px; font-size: 16px; }
.item:hover .tools, .item:focus-within .tools { opacity: 1; pointer-events: auto; }
.state { display: grid; justify-items: center; gap: 3px; padding: 52px 28px 60px; text-align: center; color: var(--_muted); }
.state strong { color: var(--_text); font-weight: 600; }
.state .face { width: 52px; height: 52px; font-size: 24px; margin-bottom: 12px; }
.state .button { margin-top: 12px; }
.ghost { display: flex; gap: 12px; padding: 14px 18px; }
.ghost i { display: block; border-radius: 6px; height: 11px; background: var(--_hover); animation: breathe 1.4s ease-in-out infinite; }
.ghost i:first-child { width: 36px; height: 36px; border-radius: 50%; flex: none; }
.ghost span { flex: 1; display: grid; gap: 8px; align-content: center; }
.ghost i:nth-child(1) { max-width: 60%; }
.note {
  display: flex; align-items: center; gap: 10px; padding: 9px 18px; border-top: 1px solid var(--_line); font-size: .929em; color: var(--_muted); flex: none;
}
.note span { flex: 1; }
.note button { color: var(--_accent); font-weight: 600; padding: 2px 6px; border-radius: 6px; }

@media (hover: none) {
  .foot { display: flex; flex-wrap: wrap; align-items: center; padding-inline: 62px 6px; padding-bottom: 5px; margin-top: -8px; }
  .foot .actions { padding: 0; margin: 0; }
  .tools, .item:hover .tools { position: static; opacity: 1; pointer-events: auto; border: 0; padding: 0; box-shadow: none; background: none; margin-inline-start: auto; }
  .tools .icon { width: 36px; height: 36px; font-size: 18px; }
}
@media (max-width: 480px) {
  .panel { left: 8px; width: calc(100vw - 16px); max-height: var(--_room, 80vh); }
  .main { padding-inline: 14px; } header { padding-inline: 16px 8px; } .tabs { padding-inline: 10px; }
  .later { padding-inline: 14px; }
}
@media (prefers-reduced-motion: no-preference) {
  .panel.open { animation: appear .16s cubic-bezier(.2, .8, .3, 1); }
  .ringing svg { animation: ring .9s ease-in-out; }
  .ringing .badge { animation: pop .35s ease-out; }
}
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .badge, .pill { border: 1px solid; } .unread .at::after { border: 4px solid Highlight; } }
@keyframes appear { from { opacity: 0; transform: translateY(-6px) scale(.98); } }
@keyframes breathe { 50% { opacity: .45; } }
@keyframes pop { 40% { transform: scale(1.3); } }
@keyframes ring { 15%, 75% { transform: rotate(11deg); } 30%, 60% { transform: rotate(-11deg); } 45% { transform: rotate(14deg); } }
`;

const SVG = "http://www.w3.org/2000/svg";
let sheet;

/** An element with attributes, listeners (`onclick: …`) and children; strings become text. */
function make(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** The address as it may be followed or shown; null where its scheme is not on the list. */
function safe(text, schemes) {
  try {
    const url = new URL(text);
    return schemes.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** What is sent and what came of it: an answer that is not good becomes an error with its status and code. */
class Refused extends Error {
  constructor(status, code) {
    super(`Sendwright answered ${status}`);
    this.status = status;
    this.code = code;
  }
}

/** Server-sent events of a response, one after another: `{event, data}`. https://html.spec.whatwg.org/#event-stream-interpretation */
async function* eventsOf(response, heard) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { event: "message", data: "" };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data) yield event;
        event = { event: "message", data: "" };
      } else if (!line.startsWith(":")) {
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") event.event = text;
        else if (field === "data") event.data += (event.data && "\n") + text;
      }
    }
  }
}

class SendwrightInbox extends HTMLElement {
  static observedAttributes = ["token", "base", "theme", "lang"];

  #getToken = null;
  #labels = LABELS;
  #token = null;
  #asking = null; // the one call of getToken that all wait for
  #era = 0; // another one whenever it begins anew: what was asked in an earlier one is not heard
  #signedOut = false;
  #life = null; // ends everything of one connection to the page
  #stream = null; // ends the stream
  #wait = WAIT_MIN;
  #waiting = 0;
  #unread = 0;
  #total = 0;
  #known = false; // whether the counts are
  #told = false; // and whether the page has been told of them, since it was last told otherwise
  #view = "all";
  #items = [];
  #rows = new Map();
  #cursor = null;
  #phase = "idle"; // of the list: idle, loading, there, failed
  #round = 0; // a list that was asked for earlier is thrown away
  #more = false;
  #offline = false;
  #current = null; // the id of the row that the keyboard is on
  #snoozing = null; // the id of the row that offers times
  #whole = new Set();
  #place = null;
  #timers = {};
  #ui = null;

  constructor() {
    super();
    this.attachShadow({ mode: "open" });
  }

  connectedCallback() {
    for (const name of ["getToken", "labels", "token", "base"]) {
      if (Object.hasOwn(this, name)) { // set before this class was known
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
    if (this.#ui === null) this.#build();
    this.#life = new AbortController();
    const on = (target, name, does, options = {}) => target.addEventListener(name, does, { signal: this.#life.signal, ...options });
    on(document, "visibilitychange", () => (document.hidden ? this.#hush() : this.#listen()));
    on(window, "online", () => this.#listen());
    on(window, "resize", () => this.#settle());
    on(window, "scroll", () => this.#settle(), { capture: true, passive: true });
    on(document, "pointerdown", (event) => this.opened && !event.composedPath().includes(this) && this.#shut(false), { capture: true });
    this.#begin();
  }

  disconnectedCallback() {
    this.#shut(false);
    this.#hush();
    this.#life?.abort();
    this.#life = null;
  }

  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    if (name === "lang") return this.#render();
    if (name !== "theme" && this.#life) this.#begin();
  }

  /** Where the API is. */
  get base() { return (this.getAttribute("base") || new URL(import.meta.url).origin).replace(/\/+$/, ""); }
  set base(value) { this.#reflect("base", value); }
  get token() { return this.getAttribute("token"); }
  set token(value) { this.#reflect("token", value); }
  /** Asynchronous: a fresh token. Asked at the start where there is no `token`, and whenever one is refused. */
  get getToken() { return this.#getToken; }
  set getToken(value) {
    this.#getToken = value;
    if (this.#life && typeof value === "function" && (this.#token === null || this.#signedOut)) this.#begin();
  }
  /** Words, by name; those that are not given are English. */
  get labels() { return this.#labels; }
  set labels(value) {
    this.#labels = { ...LABELS, ...value };
    if (this.#ui) {
      this.#word();
      this.#count();
      this.#render();
    }
  }
  get opened() { return this.#ui !== null && this.#ui.panel.classList.contains("open"); }
  get unread() { return this.#unread; }

  open() {
    if (!this.#ui || this.opened) return;
    const { panel, bell } = this.#ui;
    panel.classList.add("open");
    if (panel.showPopover && this.isConnected) panel.showPopover();
    bell.setAttribute("aria-expanded", "true");
    this.#settle();
    this.#timers.minute = setInterval(() => this.#render(), 60000);
    this.#ui.tabs[this.#view].focus({ preventScroll: true });
    this.#load();
  }

  close() { this.#shut(true); }

  // ---- Tokens and calls

  #reflect(name, value) {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  /** From nothing: another token may be another person. */
  #begin() {
    this.#hush();
    this.#era += 1;
    this.#asking = null;
    this.#token = this.getAttribute("token");
    this.#signedOut = false;
    this.#round += 1;
    this.#items = [];
    this.#cursor = null;
    this.#phase = "idle";
    this.#known = this.#told = false;
    this.#wait = WAIT_MIN;
    this.#counted(0, 0);
    this.#listen();
    if (this.opened) this.#load();
    else this.#render();
  }

  #fresh() {
    const era = this.#era;
    this.#asking ??= Promise.resolve()
      .then(() => this.#getToken())
      .then((token) => {
        this.#still(era);
        if (typeof token !== "string" || token === "") throw new Refused(401, "no_token");
        this.#token = token;
      })
      .finally(() => { if (era === this.#era) this.#asking = null; });
    return this.#asking;
  }

  #still(era) {
    if (era !== this.#era) throw new DOMException("It was asked for somebody else", "AbortError");
  }

  async #call(path, options = {}) {
    const { json, ...more } = options;
    const era = this.#era;
    const ask = () => fetch(this.base + path, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      ...more,
      ...(json && { method: "POST", body: JSON.stringify(json) }),
      headers: { authorization: `Bearer ${this.#token}`, ...(json && { "content-type": "application/json" }) },
    });
    const asks = typeof this.#getToken === "function";
    if (this.#token === null) {
      if (!asks) throw new Refused(401, "no_token");
      await this.#fresh();
    }
    const used = this.#token;
    let response = await ask();
    this.#still(era);
    if (response.status === 401 && asks) {
      if (this.#token === used) await this.#fresh(); // else somebody else has, meanwhile
      response = await ask();
    }
    this.#still(era);
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.code ?? "unknown");
  }

  #fault(error) {
    if (error?.name === "AbortError") return;
    if (error instanceof Refused && error.status === 401) {
      this.#signedOut = true;
      this.#hush();
      this.#counted(0, 0);
    }
    this.#told = false;
    this.#tell("sendwright-error", { status: error?.status ?? 0, code: error?.code ?? "network" });
  }

  /** The same for what a person has asked for. */
  #sorry(error) {
    if (error?.name === "AbortError") return;
    this.#fault(error);
    this.#say(this.#labels.notDone);
  }

  #tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  // ---- What is new

  #hush() {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
    this.#stream?.abort();
    this.#stream = null;
  }

  /** Follows the counts until the page is hidden, the element is gone, or nobody is signed in. */
  async #listen() {
    const able = this.#token !== null || typeof this.#getToken === "function";
    if (!this.#life || !able || this.#stream || this.#signedOut || document.hidden) return;
    clearTimeout(this.#waiting);
    const stream = (this.#stream = new AbortController());
    let alarm = 0;
    const heard = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => stream.abort(), SILENT_MAX);
    };
    try {
      heard();
      const response = await this.#call("/v1/inbox/stream", { signal: stream.signal });
      for await (const { event, data } of eventsOf(response, heard)) {
        this.#wait = WAIT_MIN;
        this.#mind(false);
        if (event === "inbox") this.#news(JSON.parse(data));
      }
    } catch (error) {
      if (this.#stream === stream && error?.name !== "AbortError") {
        this.#fault(error);
        if (!this.#signedOut) this.#mind(true);
      }
    }
    clearTimeout(alarm);
    if (this.#stream !== stream) return; // hushed, or begun anew
    this.#stream = null;
    if (this.#signedOut) return this.#render();
    this.#waiting = setTimeout(() => this.#listen(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, WAIT_MAX);
  }

  #news({ unread, total }) {
    const rings = this.#known && unread > this.#unread;
    this.#known = true;
    this.#counted(unread, total, !this.#told || undefined);
    this.#told = true;
    if (rings) this.#ring();
    if (this.opened) this.#load(true);
  }

  #ring() {
    const { bell } = this.#ui;
    bell.classList.remove("ringing");
    void bell.offsetWidth; // so that the animation begins anew
    bell.classList.add("ringing");
  }

  #counted(unread, total = this.#total, changed = unread !== this.#unread || total !== this.#total) {
    this.#unread = unread;
    this.#total = total;
    this.#count();
    if (changed) this.#tell("sendwright-count", { unread, total });
  }

  // ---- The list

  /** The view from its beginning; `again`: as much of it as is shown, in the place of what is shown. */
  async #load(again = false) {
    const round = ++this.#round;
    this.#more = false;
    if (!again || this.#phase !== "there") {
      this.#phase = "loading";
      this.#render();
    }
    const limit = again ? Math.min(Math.max(this.#items.length, PAGE), PAGE_MAX) : PAGE;
    try {
      const page = await this.#page(limit, null);
      if (round !== this.#round) return;
      this.#items = page.data;
      this.#cursor = page.next_cursor;
      this.#phase = "there";
      this.#counted(page.unread);
      if (this.#signedOut) {
        this.#signedOut = false;
        this.#listen();
      }
    } catch (error) {
      if (round !== this.#round) return;
      this.#fault(error);
      if (!again || this.#phase !== "there") this.#phase = "failed";
    }
    this.#render();
  }

  async #next() {
    if (this.#more || this.#cursor === null || this.#phase !== "there") return;
    const round = this.#round;
    this.#more = true;
    try {
      const page = await this.#page(PAGE, this.#cursor);
      if (round !== this.#round) return;
      const known = new Set(this.#items.map((item) => item.id));
      this.#items.push(...page.data.filter((item) => !known.has(item.id)));
      this.#cursor = page.next_cursor;
      this.#more = false;
      this.#render();
    } catch (error) {
      if (round !== this.#round) return;
      this.#more = false;
      this.#sorry(error);
    }
  }

  async #page(limit, cursor) {
    const query = new URLSearchParams({ view: this.#view, limit });
    if (cursor !== null) query.set("cursor", cursor);
    return (await this.#call(`/v1/inbox?${query}`, { signal: this.#life?.signal })).json();
  }

  /** Marks, shows it at once, and takes it back where the API refuses. `leaves`: they go out of the view. */
  async #mark(as, items, more = {}) {
    const ids = new Set(items.map((item) => item.id));
    const now = new Date().toISOString();
    const change = {
      read: { read_at: now }, unread: { read_at: null }, archived: { archived_at: now, snoozed_until: null },
      snoozed: { snoozed_until: more.until, archived_at: null }, restored: { archived_at: null, snoozed_until: null },
    }[as];
    const before = this.#items;
    const away = !(as === "read" || as === "unread" || as === this.#view);
    this.#round += 1; // what is on its way was asked for before
    this.#items = before.flatMap((item) => (!ids.has(item.id) ? [item] : away ? [] : [{ ...item, ...change }]));
    this.#render();
    try {
      const response = await this.#call("/v1/inbox/mark", { json: { as, ids: [...ids], ...more }, keepalive: true });
      this.#counted((await response.json()).unread);
      if (this.opened && !this.#stream) this.#load(true);
      return true;
    } catch (error) {
      if (error?.name === "AbortError") return false;
      this.#items = before;
      this.#sorry(error);
      this.#render();
      return false;
    }
  }

  async #markAll() {
    try {
      const response = await this.#call("/v1/inbox/mark", { json: { as: "read", all: true } });
      this.#counted((await response.json()).unread);
      this.#say(this.#labels.doneAllRead);
      this.#load(true);
    } catch (error) {
      this.#sorry(error);
    }
  }

  /** Moves an item out of the view, and offers to take that back. */
  async #move(as, item, said, more) {
    this.#snoozing = null;
    const back = item.archived_at ? ["archived"] : item.snoozed_until ? ["snoozed", { until: item.snoozed_until }] : ["restored"];
    if (!(await this.#mark(as, [item], more))) return;
    this.#say(said, async () => {
      await this.#mark(back[0], [item], back[1]);
      this.#load(true);
    });
  }

  #snooze(item, when) {
    const until = new Date();
    if (when === "snoozeHour") until.setHours(until.getHours() + 1);
    else {
      const days = when === "snoozeTomorrow" ? 1 : (8 - until.getDay()) % 7 || 7; // the next Monday
      until.setDate(until.getDate() + days);
      until.setHours(9, 0, 0, 0);
    }
    const said = this.#with("doneSnoozed", { time: this.#moment(until) });
    this.#move("snoozed", item, said, { until: until.toISOString() });
  }

  async #openItem(event, item) {
    const url = safe(item.url, LINKS);
    const goes = this.#tell("sendwright-item", { item });
    const marking = item.read_at ? null : this.#mark("read", [item]);
    if (url === null || !goes) {
      event.preventDefault();
      if (url === null) this.#whole.has(item.id) ? this.#whole.delete(item.id) : this.#whole.add(item.id);
      return this.#render();
    }
    this.#follow(event, url, marking);
  }

  #act(event, item, action) {
    const url = safe(action.url, LINKS);
    const goes = this.#tell("sendwright-action", { item, action });
    const marking = item.read_at ? null : this.#mark("read", [item]);
    if (url === null || !goes) return event.preventDefault();
    this.#follow(event, url, marking);
  }

  /** Goes there as soon as the mark is made, or soon at any rate. Another tab is the browser's own affair. */
  async #follow(event, url, marking) {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button > 0) return;
    event.preventDefault();
    await Promise.race([marking, new Promise((done) => setTimeout(done, 400))]);
    location.assign(url);
  }

  // ---- What is shown

  #build() {
    const root = this.shadowRoot;
    sheet ??= new CSSStyleSheet();
    if (sheet.cssRules.length === 0) sheet.replaceSync(STYLE);
    this.#place = new CSSStyleSheet();
    root.adoptedStyleSheets = [sheet, this.#place];
    const ui = (this.#ui = { tabs: {} });
    ui.badge = make("span", { class: "badge", part: "badge", "aria-hidden": "true", hidden: true });
    ui.bell = make("button", {
      type: "button", class: "bell", part: "bell", "aria-haspopup": "dialog", "aria-expanded": "false", "aria-controls": "panel",
      onclick: () => (this.opened ? this.close() : this.open()),
    }, icon("bell"), ui.badge);
    ui.live = make("span", { class: "sr", role: "status", "aria-live": "polite" });
    ui.title = make("h2", { id: "title" });
    ui.allRead = make("button", { type: "button", class: "icon", onclick: () => this.#markAll() }, icon("checks"));
    ui.close = make("button", { type: "button", class: "icon", onclick: () => this.close() }, icon("close"));
    ui.list = make("div", { role: "tablist", class: "tabs", part: "tabs", onkeydown: (event) => this.#tabKey(event) });
    for (const view of VIEWS) {
      ui.tabs[view] = make("button", {
        type: "button", role: "tab", id: `tab-${view}`, "aria-controls": "items", onclick: () => this.#show(view),
      });
      ui.list.append(ui.tabs[view]);
    }
    ui.pill = make("span", { class: "pill", "aria-hidden": "true" });
    ui.rows = make("ul", { role: "list", onkeydown: (event) => this.#rowKey(event) });
    ui.state = make("div");
    ui.end = make("div");
    ui.scroll = make("div", { class: "scroll", role: "tabpanel", id: "items", part: "list" }, ui.rows, ui.state, ui.end);
    ui.said = make("span", { role: "status" });
    ui.undo = make("button", { type: "button", hidden: true });
    ui.note = make("div", { class: "note", part: "note", hidden: true }, ui.said, ui.undo);
    ui.panel = make("div", {
      class: "panel", part: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", tabindex: "-1",
      popover: HTMLElement.prototype.showPopover ? "manual" : null,
    }, make("header", { part: "header" }, ui.title, ui.allRead, ui.close), ui.list, ui.scroll, ui.note);
    root.append(ui.bell, ui.live, ui.panel);
    root.addEventListener("keydown", (event) => this.#key(event));
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#next(), { root: ui.scroll, rootMargin: "200px" }).observe(ui.end);
    ui.scroll.addEventListener("scroll", () => this.#nearEnd() && this.#next(), { passive: true });
    this.#word();
    this.#count();
  }

  #nearEnd() {
    const { scroll } = this.#ui;
    return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 200;
  }

  /** All words that do not change with what there is. */
  #word() {
    const { title, allRead, close, tabs, list, undo, pill } = this.#ui;
    const say = this.#labels;
    title.textContent = say.title;
    for (const [button, text] of [[allRead, say.markAllRead], [close, say.close]]) this.#named(button, text);
    list.setAttribute("aria-label", say.views);
    for (const view of VIEWS) tabs[view].replaceChildren(say[view]);
    tabs.unread.append(pill);
    undo.textContent = say.undo;
  }

  #named(button, text) {
    button.setAttribute("aria-label", text);
    button.title = text;
  }

  #with(name, values) { return this.#labels[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole); }

  #count() {
    if (!this.#ui) return;
    const { badge, bell, live, pill, allRead } = this.#ui;
    const count = this.#unread;
    const shown = count > 99 ? "99+" : String(count);
    badge.hidden = count === 0;
    pill.hidden = count === 0;
    if (badge.textContent !== shown) badge.textContent = pill.textContent = shown;
    bell.setAttribute("aria-label", count ? this.#with("bellUnread", { count }) : this.#labels.bell);
    const said = this.#known ? this.#with("counted", { count }) : "";
    if (live.textContent !== said) live.textContent = said;
    allRead.disabled = count === 0;
  }

  #render() {
    if (!this.#ui || !this.opened) return;
    const { rows, state, scroll, tabs } = this.#ui;
    for (const view of VIEWS) {
      tabs[view].setAttribute("aria-selected", String(view === this.#view));
      tabs[view].tabIndex = view === this.#view ? 0 : -1;
    }
    scroll.setAttribute("aria-labelledby", `tab-${this.#view}`);
    scroll.setAttribute("aria-busy", String(this.#phase === "loading"));
    if (this.#signedOut) this.#items = [];
    const focused = this.#focusedRow();
    this.#reconcile(rows);
    if (focused) this.#refocus(focused);
    const shown = this.#signedOut ? "signedOut" : this.#items.length ? "" : this.#phase;
    if (state.dataset.shown !== shown + this.#view) {
      state.dataset.shown = shown + this.#view;
      state.replaceChildren(...this.#stateOf(shown));
    }
    if (this.#phase === "there" && this.#cursor !== null && this.#nearEnd()) this.#next();
  }

  #stateOf(shown) {
    const say = this.#labels;
    const told = (face, first, more, ...rest) => [
      make("div", { class: "state" }, make("span", { class: "face" }, icon(face)), make("strong", {}, first), ...(more ? [more] : []), ...rest),
    ];
    if (shown === "signedOut") return told("bell", say.signedOut, say.signedOutMore);
    if (shown === "failed") {
      return told("cloud", say.failed, "", make("button", { type: "button", class: "button", onclick: () => this.#load() }, say.retry));
    }
    if (shown === "loading") {
      const ghosts = Array.from({ length: 4 }, () => make("div", { class: "ghost", "aria-hidden": "true" }, make("i"), make("span", {}, make("i"), make("i"))));
      return [make("span", { class: "sr", role: "status" }, say.loading), ...ghosts];
    }
    if (shown !== "there") return [];
    const name = this.#view[0].toUpperCase() + this.#view.slice(1);
    const face = { all: "bell", unread: "check", archived: "archive", snoozed: "clock" }[this.#view];
    return told(face, say[`empty${name}`], say[`empty${name}More`]);
  }

  /** Rows by id: what did not change keeps its nodes, and with them focus and place. */
  #reconcile(rows) {
    const kept = new Map();
    if (!this.#items.some((item) => item.id === this.#current)) this.#current = this.#items[0]?.id ?? null;
    this.#items.forEach((item, index) => {
      const words = [this.#age(item.created_at), item.id === this.#snoozing, this.#whole.has(item.id), this.#view];
      const key = JSON.stringify([item, words]);
      let row = this.#rows.get(item.id);
      if (row?.key !== key) {
        const made = this.#row(item);
        row?.node.replaceWith(made);
        row = { key, node: made };
      }
      if (rows.children[index] !== row.node) rows.insertBefore(row.node, rows.children[index] ?? null);
      const tab = item.id === this.#current ? 0 : -1;
      for (const control of row.node.querySelectorAll("button, a")) control.tabIndex = tab;
      kept.set(item.id, row);
    });
    for (const [id, row] of this.#rows) if (!kept.has(id)) row.node.remove();
    this.#rows = kept;
    while (rows.children.length > this.#items.length) rows.lastChild.remove();
  }

  #row(item) {
    const url = safe(item.url, LINKS);
    const at = make("time", { class: "at", datetime: item.created_at, title: this.#moment(new Date(item.created_at)) }, this.#age(item.created_at));
    const unread = item.read_at ? null : make("span", { class: "sr" }, `${this.#labels.unreadItem}. `);
    const title = make("span", { class: item.title ? "title" : "body", dir: "auto" }, item.title || item.body);
    const words = make("span", { class: "words" }, make("span", { class: "first" }, unread, title, at));
    if (item.title && item.body) words.append(make("span", { class: "body", dir: "auto" }, item.body));
    if (item.snoozed_until && this.#view === "snoozed") {
      words.append(make("span", { class: "until" }, icon("clock"), this.#with("until", { time: this.#moment(new Date(item.snoozed_until)) })));
    }
    const main = make(url ? "a" : "button", {
      class: "main", href: url, rel: url && "noopener noreferrer", type: url ? null : "button", "data-do": "main",
      onclick: (event) => this.#openItem(event, item),
    }, this.#face(item), words);
    const names = ["item", item.read_at ? "read" : "unread", this.#whole.has(item.id) ? "whole" : "", item.title ? "" : "bare"];
    return make("li", {
      class: names.filter(Boolean).join(" "), part: item.read_at ? "item" : "item unread", "data-id": item.id,
      onfocusin: () => this.#at(item.id),
    }, main, make("div", { class: "foot" }, this.#buttons(item), this.#tools(item)), item.id === this.#snoozing ? this.#times(item) : null);
  }

  #face(item) {
    const face = make("span", { class: "face", "aria-hidden": "true" }, icon("bell"));
    const src = safe(item.icon, PICTURES);
    if (src !== null) {
      const picture = make("img", { alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer" });
      picture.addEventListener("load", () => face.replaceChildren(picture));
      picture.loading = "eager"; // it is not in the page before it is there
      picture.src = src;
    }
    return face;
  }

  #buttons(item) {
    if (!item.actions?.length) return null;
    return make("div", { class: "actions" }, ...item.actions.map((action, index) => {
      const url = safe(action.url, LINKS);
      return make(url ? "a" : "button", {
        class: `button${index ? "" : " first-of"}`, part: "action", href: url, rel: url && "noopener noreferrer", type: url ? null : "button",
        dir: "auto", "data-do": `action ${action.id}`, onclick: (event) => this.#act(event, item, action),
      }, action.label);
    }));
  }

  #times(item) {
    const times = ["snoozeHour", "snoozeTomorrow", "snoozeWeek"].map((when) =>
      make("button", { type: "button", class: "button", "data-do": when, onclick: () => this.#snooze(item, when) }, this.#labels[when]));
    return make("div", { class: "later", role: "group", "aria-label": this.#labels.snooze }, icon("clock"), ...times);
  }

  #tools(item) {
    const say = this.#labels;
    const tool = (name, face, text, does, more) => {
      const made = make("button", { type: "button", class: "icon", "data-do": name, onclick: does, ...more }, icon(face));
      this.#named(made, text);
      return made;
    };
    const toggles = item.read_at
      ? tool("toggle", "mail", say.markUnread, () => this.#mark("unread", [item]))
      : tool("toggle", "check", say.markRead, () => this.#mark("read", [item]));
    const moves = this.#view === "archived" || this.#view === "snoozed"
      ? [tool("restore", "restore", say.restore, () => this.#move("restored", item, say.doneRestored))]
      : [
        tool("snooze", "clock", say.snooze, () => this.#offer(item.id), { "aria-expanded": String(item.id === this.#snoozing) }),
        tool("archive", "archive", say.archive, () => this.#move("archived", item, say.doneArchived)),
      ];
    return make("div", { class: "tools" }, toggles, ...moves);
  }

  #offer(id) {
    this.#snoozing = this.#snoozing === id ? null : id;
    this.#render();
    const first = this.#rows.get(id)?.node.querySelector(".later button");
    first?.focus();
    first?.scrollIntoView({ block: "nearest" });
  }

  /** A line at the foot of the panel, for a moment. */
  #say(text, undo = null) {
    const { note, said, undo: button } = this.#ui;
    clearTimeout(this.#timers.note);
    note.hidden = false;
    said.textContent = text;
    button.hidden = undo === null;
    button.onclick = () => {
      this.#unsay();
      undo();
    };
    this.#timers.note = setTimeout(() => this.#unsay(), UNDO_FOR);
  }

  #unsay() {
    const { note, said, undo } = this.#ui;
    if (undo.matches(":focus")) this.#focusNear(0);
    undo.hidden = true;
    said.textContent = this.#offline ? this.#labels.offline : "";
    note.hidden = !this.#offline;
  }

  #mind(offline) {
    if (this.#offline === offline) return;
    this.#offline = offline;
    clearTimeout(this.#timers.note);
    this.#unsay();
  }

  // ---- Time in words

  get #locale() {
    const named = this.closest("[lang]")?.lang || this.getRootNode().host?.closest?.("[lang]")?.lang;
    try {
      return Intl.getCanonicalLocales(named || navigator.language)[0];
    } catch {
      return undefined;
    }
  }

  #age(text) {
    const s = Math.max(0, (Date.now() - Date.parse(text)) / 1000);
    if (s < 60) return this.#labels.now;
    const [n, unit] = s < 3600 ? [s / 60, "minute"] : s < 86400 ? [s / 3600, "hour"] : [s / 86400, "day"];
    if (unit === "day" && n >= 7) return new Intl.DateTimeFormat(this.#locale, { day: "numeric", month: "short" }).format(new Date(text));
    return new Intl.RelativeTimeFormat(this.#locale, { style: "narrow", numeric: "always" }).format(-Math.floor(n), unit);
  }

  #moment(time) {
    return new Intl.DateTimeFormat(this.#locale, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(time);
  }

  // ---- Keyboard and place

  get #rtl() { return getComputedStyle(this).direction === "rtl"; }

  #show(view) {
    if (view !== this.#view) {
      this.#view = view;
      this.#items = [];
      this.#snoozing = null;
      this.#current = null;
      this.#ui.scroll.scrollTop = 0;
      this.#load();
    }
    this.#ui.tabs[view].focus({ preventScroll: true });
    this.#ui.tabs[view].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #tabKey(event) {
    const here = VIEWS.indexOf(this.#view);
    const there = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: VIEWS.length - 1 };
    if (this.#rtl) [there.ArrowLeft, there.ArrowRight] = [there.ArrowRight, there.ArrowLeft];
    if (event.key in there) this.#show(VIEWS.at(there[event.key] % VIEWS.length));
    else if (event.key === "ArrowDown" && this.#items.length) this.#focusRow(this.#current);
    else return;
    event.preventDefault();
  }

  #rowKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const here = this.#items.findIndex((item) => item.id === this.#current);
    const there = { ArrowUp: here - 1, ArrowDown: Math.min(here + 1, this.#items.length - 1), Home: 0, End: this.#items.length - 1 };
    if (event.key in there) {
      if (there[event.key] < 0) this.#ui.tabs[this.#view].focus();
      else this.#focusRow(this.#items[there[event.key]].id);
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const controls = [...event.currentTarget.querySelectorAll(`[data-id="${this.#current}"] [data-do]`)];
      const step = (event.key === "ArrowRight") === this.#rtl ? -1 : 1;
      controls[controls.indexOf(this.shadowRoot.activeElement) + step]?.focus();
    } else return;
    event.preventDefault();
  }

  #key(event) {
    if (!this.opened) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (this.#snoozing !== null && this.shadowRoot.activeElement?.closest(".later")) {
        const node = this.#rows.get(this.#snoozing)?.node;
        this.#offer(this.#snoozing);
        this.#rows.get(node?.dataset.id)?.node.querySelector('[data-do="snooze"]')?.focus();
      } else this.close();
    } else if (event.key === "Tab") {
      const stops = [...this.#ui.panel.querySelectorAll("button, a, [tabindex]")]
        .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility());
      const at = stops.indexOf(this.shadowRoot.activeElement);
      const leaves = event.shiftKey ? at <= 0 : at === stops.length - 1 || at < 0;
      if (!leaves) return;
      stops.at(event.shiftKey ? -1 : 0)?.focus();
      event.preventDefault();
    }
  }

  #at(id) {
    if (this.#current === id) return;
    this.#current = id;
    for (const [other, { node }] of this.#rows) {
      for (const control of node.querySelectorAll("button, a")) control.tabIndex = other === id ? 0 : -1;
    }
  }

  #focusRow(id) {
    this.#at(id);
    const main = this.#rows.get(id)?.node.querySelector(".main");
    main?.focus({ preventScroll: true });
    main?.parentNode.scrollIntoView({ block: "nearest" });
  }

  #focusNear(index) {
    const item = this.#items[Math.min(index, this.#items.length - 1)];
    if (item) this.#focusRow(item.id);
    else this.#ui.tabs[this.#view].focus();
  }

  #focusedRow() {
    const active = this.shadowRoot.activeElement;
    const node = active?.closest("li");
    return node ? { id: node.dataset.id, control: active.dataset.do, index: [...node.parentNode.children].indexOf(node) } : null;
  }

  /** The keyboard stays where it was, or goes to the neighbour of what went. */
  #refocus({ id, control, index }) {
    if (this.shadowRoot.activeElement?.closest("li")?.dataset.id === id) return;
    const node = this.#rows.get(id)?.node;
    if (!node) return this.#focusNear(index);
    const same = [...node.querySelectorAll("[data-do]")].find((one) => one.dataset.do === control);
    (same ?? node.querySelector(".main")).focus({ preventScroll: true });
  }

  #shut(back) {
    if (!this.opened) return;
    const { panel, bell } = this.#ui;
    panel.classList.remove("open");
    if (panel.hidePopover && panel.matches(":popover-open")) panel.hidePopover();
    bell.setAttribute("aria-expanded", "false");
    clearInterval(this.#timers.minute);
    this.#snoozing = null;
    this.#round += 1;
    if (back) bell.focus({ preventScroll: true });
  }

  /** Puts the panel below the bell, within the window; by a rule of its own sheet, not by an attribute. */
  #settle() {
    if (!this.opened) return;
    const { bell, panel } = this.#ui;
    const at = bell.getBoundingClientRect();
    const wide = panel.offsetWidth;
    const aim = (this.getAttribute("align") === "start") !== this.#rtl ? at.left : at.right - wide;
    const left = Math.max(8, Math.min(aim, document.documentElement.clientWidth - wide - 8));
    const top = Math.max(8, Math.min(at.bottom + 8, innerHeight - 240));
    this.#place.replaceSync(`.panel { --_left: ${left}px; --_top: ${top}px; --_room: ${Math.max(200, innerHeight - top - 8)}px; }`);
  }
}

if (!customElements.get("sendwright-inbox")) customElements.define("sendwright-inbox", SendwrightInbox);

export { SendwrightInbox, LABELS };
