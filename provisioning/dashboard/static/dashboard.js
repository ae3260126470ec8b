// Shows what the server sends. Every text goes into the page as text (textContent), never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const OUTCOMES = ["pass", "fail", "error"];
let state = null; // the newest snapshot
let offset = 0; // milliseconds that the server's clock is ahead of this one

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function put(id, text) {
  const target = byId(id);
  if (target.textContent !== text) target.textContent = text;
}

const number = (value) => value.toLocaleString();
const percent = (value) => (value === null ? "–" : `${value} %`);
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const moment = (at) => new Date(at).toLocaleString([], { dateStyle: "short", timeStyle: "medium", hourCycle: "h23" });

function lasted(at) {
  const seconds = Math.max(0, Math.round((Date.now() + offset - Date.parse(at)) / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function banner(text) {
  byId("banner").hidden = !text;
  put("banner", text);
}

function word(slot) {
  const working = slot.state === "claimed" || slot.state === "writing";
  const late = working && Date.now() + offset - Date.parse(slot.since) > state.stale * 1000;
  return late ? ["stale", "NO END"] : [slot.state, slot.state.toUpperCase()];
}

function slots() {
  byId("no-slots").hidden = state.slots.length > 0;
  byId("slots").replaceChildren(...state.slots.map((slot) => {
    const [kind, shown] = word(slot);
    const made = element("li", `slot ${kind}`);
    const about = element("div");
    about.append(
      element("strong", "", slot.device || slot.mac || "–"),
      element("small", "", `${slot.station} · ${slot.port}`),
      element("small", "", slot.device ? slot.mac : ""),
      element("small", "code", slot.code && slot.code !== "pass" ? slot.code : ""),
      element("small", "age", `${lasted(slot.since)} ago`),
    );
    about.lastChild.dataset.since = slot.since;
    if (slot.message && slot.state !== "pass") made.title = slot.message;
    made.append(element("span", "state", shown), about);
    return made;
  }));
}

function hours() {
  const most = Math.max(1, ...state.hours.map((hour) => hour.pass + hour.fail + hour.error));
  const every = Math.max(1, Math.ceil(state.hours.length / 8)); // as many hours as have space for their name
  const wide = state.hours.length <= 24 && window.innerWidth >= 700;
  byId("hours").replaceChildren(...state.hours.map((hour, index) => {
    const made = element("li");
    const all = hour.pass + hour.fail + hour.error;
    made.title = `${clock(hour.hour)}: ${hour.pass} passed, ${hour.fail} failed, ${hour.error} error, yield ${percent(hour.yield)}`;
    const named = (state.hours.length - 1 - index) % every === 0;
    made.append(element("span", "percent", hour.yield !== null && (wide || named) ? String(Math.round(hour.yield)) : ""));
    const bar = element("span", "bar");
    bar.style.height = `${(all / most) * 72}%`;
    for (const outcome of ["error", "fail", "pass"]) {
      const part = element("span", `${outcome}-part`);
      part.style.flex = `${hour[outcome]} 0 0`;
      bar.append(part);
    }
    made.append(bar, element("span", "clock", named ? clock(hour.hour) : ""));
    made.setAttribute("aria-label", made.title);
    return made;
  }));
}

function codes() {
  const all = state.failures.reduce((sum, failure) => sum + failure.count, 0);
  const most = Math.max(1, ...state.failures.map((failure) => failure.count));
  let sum = 0;
  byId("no-codes").hidden = all > 0;
  byId("codes").replaceChildren(...state.failures.map((failure) => {
    sum += failure.count;
    const made = element("li");
    const track = element("span", "track");
    const part = element("span", "part");
    part.style.width = `${(failure.count / most) * 100}%`;
    track.append(part);
    made.append(
      element("span", "code", failure.code),
      element("span", "count", `${number(failure.count)} · ${Math.round((sum / all) * 100)} %`),
      track,
      element("small", "", failure.means),
    );
    made.title = `${failure.count} attempts; with those above ${Math.round((sum / all) * 100)} % of all that did not pass`;
    return made;
  }));
}

function tasks() {
  byId("open").hidden = state.tasks.length === 0;
  byId("tasks").replaceChildren(...state.tasks.map((task) => {
    const made = element("li");
    made.append(
      element("b", "", `${task.task} ${task.state}`),
      element("span", "", `${task.device} (${task.mac}), ${moment(task.at)}`),
      element("small", "", task.message),
    );
    return made;
  }));
}

function show() {
  put("window", String(state.window));
  put("boards", number(state.totals.boards));
  put("yield", percent(state.totals.yield));
  for (const outcome of OUTCOMES) put(outcome, number(state.totals[outcome]));
  slots();
  tasks();
  hours();
  codes();
  const words = [];
  if (state.away) words.push(`The ledger is away since ${moment(state.away_since)}: ${state.away}`);
  if (state.unreadable) words.push(`${state.unreadable} rows cannot be read: twinroot ledger verify says which.`);
  if (state.moved) words.push(`This ledger has ended: it ${state.moved}.`);
  banner(words.join(" "));
  document.documentElement.dataset.seq = state.seq; // for tests: what is on the page now
}

function link(live) {
  byId("link").className = live ? "live" : "lost";
  put("link", live ? "live" : "no connection");
}

function follow() {
  const events = new EventSource("/events");
  events.addEventListener("ledger", (event) => put("ledger", JSON.parse(event.data).ledger));
  events.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    offset = Date.parse(state.at) - Date.now();
    link(true);
    show();
  });
  events.addEventListener("error", () => {
    link(false);
    if (events.readyState === EventSource.CLOSED) {
      // The server said no: the token has changed, or there is no page here any more. The form for the token comes with the next load.
      window.setTimeout(() => window.location.reload(), 10000);
    }
  });
}

const SHOWN = [
  ["board", "mac"], ["device", "device"], ["certificate", "certificate_sha256"], ["its serial number", "certificate_serial"], ["product", "product"], ["firmware", "firmware_version"],
  ["station", "station"], ["port", "port"],
];

function attempt(found) {
  const made = element("li");
  const outcome = found.outcome || "open";
  const head = element("div");
  head.append(
    element("span", `outcome ${OUTCOMES.includes(outcome) ? outcome : "open"}`, `${outcome.toUpperCase()} ${found.code || ""}`.trim()),
    element("span", "", ` ${moment(found.at)} · ${found.job || ""} · rows ${found.rows.join(", ")}`),
  );
  made.append(head);
  if (found.message) made.append(element("div", "", found.message));
  const list = element("dl");
  for (const [name, field] of SHOWN) {
    if (found[field]) list.append(element("dt", "", name), element("dd", "", found[field]));
  }
  for (const task of found.tasks || []) list.append(element("dt", "", "then"), element("dd", "", task));
  made.append(list);
  return made;
}

let asked = 0;
async function search(event) {
  event.preventDefault();
  const mine = ++asked;
  put("found", "…");
  byId("attempts").replaceChildren();
  let text;
  let attempts = [];
  try {
    const answer = await fetch(`/search?q=${encodeURIComponent(byId("question").value)}`, { signal: AbortSignal.timeout(20000) });
    const data = await answer.json();
    attempts = data.attempts || [];
    text = answer.ok ? `${attempts.length || "no"} attempt${attempts.length === 1 ? "" : "s"}` : `${data.message} ${data.hint}`;
  } catch {
    text = "The server did not answer.";
  }
  if (mine !== asked) return;
  byId("attempts").replaceChildren(...attempts.map(attempt));
  put("found", text);
}

byId("search").addEventListener("submit", search);
window.addEventListener("resize", () => state && hours());
window.setInterval(() => {
  if (!state) return;
  for (const age of document.querySelectorAll(".age")) age.textContent = `${lasted(age.dataset.since)} ago`;
}, 1000);
window.setInterval(() => state && slots(), 30000); // an attempt without an end becomes one by time alone
link(false);
follow();
