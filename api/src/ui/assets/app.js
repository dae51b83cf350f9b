// What pages gain by script: fresh parts, local times, upload with progress, live output, the terminal. Every page can be
// read without it. Text from the worker is only ever set as text, except the worker's own escaped parts.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const say = (key, values = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const at = (id) => document.getElementById(id);
const announce = (text) => { at("announce").textContent = text; };

function offline(on) {
  const banner = at("offline");
  banner.hidden = !on;
  banner.textContent = on ? say("offline") : "";
}

/** Times in the reader's zone and manner. */
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = time.dateTime;
    time.textContent = time.closest(".line") ? date.toLocaleTimeString([], { hour12: false }) : date.toLocaleString();
  }
}

/** Puts a fresh part in place of the old one; what is open stays open, what has the focus is left alone. */
async function refresh(element, url = element.dataset.refresh) {
  const response = await fetch(url, { headers: { accept: "text/html-part, */*" } });
  if (!response.ok) throw new Error(String(response.status));
  const html = await response.text();
  if (html === element.shown || element.contains(document.activeElement)) return;
  element.shown = html;
  const nameOf = (one) => one.closest("section")?.getAttribute("aria-labelledby") + one.querySelector("summary").textContent;
  const open = new Map([...element.querySelectorAll("details")].map((one) => [nameOf(one), one.open]));
  element.innerHTML = html;
  element.querySelectorAll("details").forEach((one) => { one.open = open.get(nameOf(one)) ?? one.open; });
  localise(element);
}

function keepFresh(element) {
  const every = Number(element.dataset.every);
  const turn = async () => {
    if (!document.hidden) {
      try {
        await refresh(element);
        offline(false);
      } catch {
        offline(true);
      }
      if (element.querySelector("[data-ended='1']")) {
        const then = element.dataset.then && document.querySelector(element.dataset.then);
        if (then) refresh(then).catch(() => {});
        return;
      }
    }
    setTimeout(turn, every);
  };
  setTimeout(turn, every);
}

/** A package: sent with progress, then watched until it is installed or refused. */
function upload(form) {
  const bar = at("upload-progress"), status = at("upload-status"), button = form.querySelector("button");
  const done = (text, bad) => {
    bar.hidden = true;
    button.disabled = false;
    status.textContent = text;
    status.className = bad ? "alert" : "done";
  };
  const refused = (detail) => {
    const error = typeof detail === "string" ? detail : detail?.message ?? detail?.[0]?.msg ?? say("unreachable");
    done(say("refused", { error }), true);
  };
  const watch = async (id) => {
    try {
      const answer = await fetch(`/v1/skill-packages/${encodeURIComponent(id)}`, { headers: { accept: "application/json" } });
      const record = await answer.json();
      if (!answer.ok) return refused(record.detail);
      if (record.status === "failed") return refused(record.error);
      if (record.status !== "succeeded") return setTimeout(() => watch(id), 400);
      done(say("installed", { skill: record.skill_id, version: record.version ?? "" }), false);
      form.reset();
      await refresh(at("skills"));
    } catch {
      refused();
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.responseType = "json";
    request.upload.onprogress = (sent) => { if (sent.lengthComputable) bar.value = (100 * sent.loaded) / sent.total; };
    request.upload.onload = () => { bar.removeAttribute("value"); status.textContent = say("checking"); };
    request.onerror = () => refused();
    request.onload = () => {
      const answer = request.response;
      if (request.status >= 200 && request.status < 300 && answer?.request_id) watch(answer.request_id);
      else refused(answer?.detail);
    };
    bar.value = 0;
    bar.hidden = false;
    button.disabled = true;
    status.className = "";
    status.textContent = say("uploading");
    request.send(new FormData(form));
  });
}

/** The text of an event's line, as the server writes it. */
function textOf(type, data) {
  const pair = (one) => `${one?.code ?? ""}: ${one?.message ?? ""}`;
  switch (type) {
    case "assistant.message.final": return data.text ?? "";
    case "raw.stdout": case "raw.stderr": return data.line ?? "";
    case "conversation.state.changed": return `${data.from} → ${data.to}`;
    case "diagnostic.warning": return pair(data);
    case "conversation.failed": return pair(data.error);
    default: return words[`event.${type.replaceAll(".", "-")}`] ? "" : type;
  }
}

function lineOf(event) {
  const known = event.type.replaceAll(".", "-");
  const kind = words[`event.${known}`] ? known : "other";
  const line = document.createElement("li"), time = document.createElement("time");
  const label = document.createElement("span"), text = document.createElement("div");
  line.className = `line ${kind}`;
  time.dateTime = event.ts;
  label.className = "kind";
  label.textContent = words[`event.${kind}`];
  text.className = "text";
  text.textContent = textOf(event.type, event.data ?? {}).slice(0, 4000);
  line.append(time, label, text);
  return line;
}

/** Live output: a stream that resumes after its last line, drawn once per frame, the oldest lines given up. */
function live(log) {
  const list = log.querySelector("ol"), view = at("view"), most = 2000;
  let cursor = Number(log.dataset.cursor), waiting = [], drawing = false, state = "";
  const draw = () => {
    drawing = false;
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.querySelector(".nothing")?.remove();
    const spoken = waiting.filter((event) => event.type === "assistant.message.final").at(-1);
    list.append(...waiting.slice(-most).map(lineOf));
    waiting = [];
    while (list.children.length > most) list.firstElementChild.remove();
    localise(list);
    if (below) log.scrollTop = log.scrollHeight;
    if (spoken) announce(spoken.data.text.slice(0, 400));
  };
  const look = async () => {
    await refresh(view, log.dataset.view);
    const panel = view.querySelector("[data-state]");
    if (panel && panel.dataset.state !== state) {
      state = panel.dataset.state;
      announce(say("state", { state: panel.dataset.stateText }));
      refresh(document.querySelector(".strip")).catch(() => {});
      document.title = document.title.replace(/ – [^·]*/, ` – ${panel.dataset.stateText} `);
    }
    return panel?.dataset.ended === "1";
  };
  const listen = () => {
    const source = new EventSource(`${log.dataset.events}?cursor=${cursor}`);
    source.addEventListener("chat_event", (message) => {
      offline(false);
      const event = JSON.parse(message.data);
      if (event.seq <= cursor) return;
      cursor = event.seq;
      waiting.push(event);
      if (!drawing) {
        drawing = true;
        if (document.hidden) setTimeout(draw, 250); else requestAnimationFrame(draw);
      }
      if (event.type === "conversation.state.changed") look().catch(() => {});
    });
    source.onerror = async () => {
      // The stream ends with the run, with the worker, or with the network: the run's state tells which.
      source.close();
      try {
        if (await look()) return;
        offline(false);
      } catch {
        offline(true);
      }
      setTimeout(listen, 1000);
    };
  };
  log.scrollTop = log.scrollHeight;
  listen();
}

function rawSwitch(box) {
  const log = at("log");
  const show = () => log.classList.toggle("calm", !box.checked);
  try { box.checked = localStorage.getItem("raw") !== "no"; } catch { /* not allowed here: shown */ }
  box.addEventListener("change", () => {
    try { localStorage.setItem("raw", box.checked ? "yes" : "no"); } catch { /* not allowed here */ }
    show();
  });
  show();
}

/** The terminal's page of the gateway, framed on demand: its window is its session. */
function terminal(section) {
  const start = at("terminal-start"), stop = at("terminal-stop"), tab = at("terminal-tab");
  const status = at("terminal-status"), frame = at("terminal-frame");
  const address = `${location.protocol}//${location.hostname}:${section.dataset.port}/`;
  tab.href = address;
  const show = (open, state, message) => {
    start.hidden = open || state === "off";
    start.disabled = state === "taken" || state === "down";
    stop.hidden = !open;
    tab.hidden = open || state === "off" || state === "taken" || state === "down";
    if (status.textContent !== message) status.textContent = message;
  };
  const look = async () => {
    const open = frame.firstChild !== null;
    try {
      const answer = await fetch(section.dataset.session, { headers: { accept: "application/json" } });
      const session = await answer.json();
      show(open, session.state, open ? say("terminal-open") : session.message);
    } catch {
      show(open, "unknown", say("offline"));
    }
  };
  start.addEventListener("click", () => {
    const screen = document.createElement("iframe");
    screen.title = say("terminal-frame");
    screen.src = address;
    frame.replaceChildren(screen);
    show(true, "taken", say("terminal-open"));
    stop.focus();
  });
  stop.addEventListener("click", () => {
    frame.replaceChildren();
    start.hidden = false;
    start.focus();
    look();
  });
  look();
  setInterval(() => { if (!document.hidden) look(); }, 3000);
}

localise(document);
document.querySelectorAll("[data-refresh]").forEach(keepFresh);
if (at("upload")) upload(at("upload"));
if (at("raw")) rawSwitch(at("raw"));
if (at("log")?.dataset.events) live(at("log"));
if (at("terminal")) terminal(at("terminal"));
at("engine")?.addEventListener("change", (event) => at("model").setAttribute("list", `models-${event.target.value}`));
at("run-form")?.addEventListener("submit", (event) => { event.target.querySelector("[type=submit]").disabled = true; });
addEventListener("pageshow", (event) => { if (event.persisted) document.querySelector("#run-form [type=submit]")?.removeAttribute("disabled"); });
