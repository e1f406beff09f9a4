"use strict";
// The page is whole without this script. With it what changes comes by itself (/live), times go on counting,
// and there are keys. Nothing of what comes is run: it is parsed as a document of its own, and only its elements are taken.
(() => {
  const root = document.documentElement;
  const $ = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const view = root.dataset.view;
  root.dataset.script = "";

  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* a browser that keeps nothing */ }
  if (theme) root.dataset.theme = theme;
  const turn = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* so be it */ }
  };

  // The bridge's clock: each beat brings it, whatever this machine's says. It stands still while nothing comes.
  let ahead = 0, heard = 0, dead = 0, measured = 0;
  const beat = (ms) => { ahead = ms - Date.now(); heard = performance.now(); };
  // lateness is how late a beat may be: ms is the time when it was sent, run how long the bridge had run. It is compared with
  // others of this bridge, by whatever connection; and the first of each, which came within answer of being asked for, is no later
  // than that. So a connection by which all is late is known as well. Clocks drift: now and then a connection is made anew.
  // Another bridge, and one that stood still, has begun at another time by its clock: its beats are not comparable.
  const soon = 10000, slowly = 600000; // after which a connection is made anew
  let quickest = 0, begun = 0;
  const isOther = (ms, run) => Math.abs(ms - run - begun) > 1000;
  const lateness = (ms, run, answer) => {
    const took = performance.now() - run;
    if (isOther(ms, run)) {
      quickest = answer ? -Infinity : took;
      measured = Math.min(measured, performance.now() - (slowly - soon)); // it is to be known how late its are
    }
    begun = ms - run;
    quickest = Math.min(quickest, took);
    if (answer) quickest = Math.max(quickest, took - answer);
    return took - quickest;
  };
  const now = () => dead || Date.now() + ahead;

  const two = (n) => String(n).padStart(2, "0");
  const clock = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  };
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const age = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    const i = units.findIndex(([, of], k) => s >= of || k === units.length - 1);
    const [name, of] = units[i], rest = s % of;
    const more = i < units.length - 1 && s < 10 * of && rest >= units[i + 1][1];
    return `${Math.floor(s / of)} ${name}` + (more ? ` ${Math.floor(rest / units[i + 1][1])} ${units[i + 1][0]}` : "");
  };
  const day = (ms) => new Date(ms + 1000 * ($("#bar").dataset.offset || 0)).toISOString().slice(11, 19);
  const moment = (ms) => `${new Date(ms + 1000 * ($("#bar").dataset.offset || 0)).toISOString().slice(0, 10)} ${day(ms)}`;
  const write = (e, text) => { if (e.textContent !== text) e.textContent = text; };
  const tick = () => {
    const t = now();
    for (const e of all("[data-since]")) write(e, age(t - e.dataset.since));
    for (const e of all("[data-clock]")) write(e, clock(t - e.dataset.clock));
    for (const e of all("[data-until]")) write(e, clock(e.dataset.until - t));
    for (const e of all("[data-to]")) {
      const { from, to } = e.dataset;
      e.setAttribute("width", Math.min(100, Math.max(0, 100 * (to - t) / (to - from))).toFixed(1));
    }
    write($("#clock"), day(t));
  };

  // morph makes what is there like what came, element by element, so that focus, scrolling and what is selected stay.
  const morph = (old, made) => {
    if (old.isEqualNode(made)) return;
    if (old.nodeType !== made.nodeType || old.nodeName !== made.nodeName || old.id !== made.id) { old.replaceWith(made); return; }
    if (old.nodeType !== Node.ELEMENT_NODE) { old.data = made.data; return; }
    for (const { name } of [...old.attributes]) if (!made.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of made.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (old.nodeName === "INPUT" || old.matches("[data-since], [data-clock], [data-until], #clock, #tap, #tap-state, #pause")) return; // theirs is what the user or tick wrote
    const known = new Map([...old.children].filter((e) => e.id).map((e) => [e.id, e]));
    let next = old.firstChild;
    for (const child of [...made.childNodes]) {
      let twin = child.id ? known.get(child.id) : next && !next.id && next.nodeName === child.nodeName ? next : null;
      if (!twin) {
        old.insertBefore(child, next);
        if (child.id && view === "servers") child.classList.add("new");
      } else {
        if (twin === next) next = next.nextSibling; else old.insertBefore(twin, next);
        morph(twin, child);
      }
    }
    while (next) { const gone = next; next = next.nextSibling; gone.remove(); }
  };
  const patch = ({ ID, HTML }) => {
    const made = new DOMParser().parseFromString(HTML, "text/html").body.firstElementChild;
    const old = document.getElementById(ID);
    if (made && old) morph(old, document.adoptNode(made));
    if (ID === "events") follow();
    if (ID === "bar" && !dead) document.title = $("#bar").dataset.title;
    tick();
  };

  // The events of a server, the newest on top. What the bridge says it has left out is counted.
  const mostLines = 300;
  let tap, tapped = "", paused = false, missed = 0, held = 0, tapHeard = 0, unseen = 0; // since when nothing has been seen
  let tapWhy = "Waiting for events."; // why they are not live; empty: they are
  const tapState = (text) => {
    const more = (n, what) => n ? ` ${n} ${what}` : "";
    if ($("#tap-state")) write($("#tap-state"), text + more(held, "came while paused.") + more(missed, "were not looked at: they came faster than this page shows them."));
  };
  const eventLine = ({ At, Name, Says, Gap }) => {
    const li = document.createElement("li");
    if (Gap) li.className = "gap";
    for (const [kind, text] of [["third", At], ["strong", Name === "Gap" ? "GAP" : Name], ["", Says]]) {
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = text;
      li.append(span, " ");
    }
    return li;
  };
  const tapSays = () => tapState(tapWhy || (paused ? "Paused." : "Live."));
  const tapLives = (ms, run) => {
    const late = isOther(ms, run) ? 0 : performance.now() - run - quickest;
    tapHeard = performance.now();
    tapWhy = late > 5000 ? `Not live: what comes from the bridge may be ${age(late)} late.` : "";
    tapSays();
  };
  const tapDies = (why) => { unseen ||= now(); tapWhy = `Not live: ${why}`; tapSays(); };
  const openTap = () => {
    tap?.close();
    if (!tapped) return;
    tapHeard = performance.now();
    tap = new EventSource(tapped);
    tap.addEventListener("open", () => {
      if (unseen) $("#tap")?.prepend(eventLine({ At: day(now()), Name: "NOT SEEN", Says: `from ${moment(unseen)} on: this page was not connected`, Gap: true }));
      unseen = 0;
      tapHeard = performance.now();
    });
    tap.addEventListener("still", (e) => tapLives(...e.data.split(" ").map(Number)));
    tap.addEventListener("missed", (e) => { missed += +e.data; tapSays(); });
    tap.addEventListener("lines", (e) => {
      const lines = JSON.parse(e.data);
      if (paused) held += lines.length;
      tapSays();
      if (paused) return;
      for (const one of lines) $("#tap").prepend(eventLine(one));
      while ($("#tap").childElementCount > mostLines) $("#tap").lastChild.remove();
    });
    tap.addEventListener("error", () => {
      tapDies("the bridge does not answer, or too many pages show events. This page tries again by itself.");
      if (tap.readyState === EventSource.CLOSED) setTimeout(openTap, 5000);
    });
  };
  const follow = () => {
    const wanted = $("#tap")?.dataset.tap || "";
    if (wanted === tapped) return;
    tapped = wanted;
    $("#tap")?.replaceChildren();
    missed = held = unseen = 0;
    tapWhy = "Waiting for events.";
    openTap();
  };
  const pause = () => {
    if (!$("#pause")) return false;
    paused = !paused;
    held = 0;
    $("#pause").setAttribute("aria-pressed", paused);
    tapSays();
  };

  const stop = (why) => {
    if (dead) return;
    dead = now();
    root.classList.add("stopped");
    $("#dead").textContent = `Not live since ${moment(dead)}: ${why} What is below is as it was then.`;
    $("#dead").hidden = false;
    document.title = `◌ ${document.title.replace(/^◌ /, "")}`;
  };
  const live = () => {
    dead = 0;
    root.classList.remove("stopped");
    $("#dead").hidden = true;
    document.title = $("#bar").dataset.title;
  };

  let source;
  const connect = () => {
    let first = true; // the next beat is that of a connection
    measured = performance.now();
    source = new EventSource(`/live${location.search}`);
    source.addEventListener("patch", (e) => patch(JSON.parse(e.data)));
    source.addEventListener("beat", (e) => {
      const [ms, run] = e.data.split(" ").map(Number), late = lateness(ms, run, first && performance.now() - measured);
      first = false;
      beat(ms);
      if (late > 5000) { dead = 0; stop(`what comes from the bridge may be ${age(late)} late.`); } else if (dead) live();
      tick();
    });
    source.addEventListener("error", () => {
      first = true; // the browser asks anew
      measured = performance.now();
      stop("the bridge does not answer, or too many pages are open. This page tries again by itself.");
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
    });
  };

  const rows = () => all("[data-row]");
  const move = (by) => {
    const list = rows(), here = view === "server" || view === "events" ? list.findIndex((e) => e.hasAttribute("aria-current")) : list.indexOf(document.activeElement);
    const to = list[Math.min(Math.max(here + by, 0), list.length - 1)];
    if (!to) return;
    if (view === "server" || view === "events") to.click(); else { to.focus(); to.scrollIntoView({ block: "nearest" }); }
  };
  const sort = () => {
    const list = all("a[data-sort]");
    const here = list.findIndex((e) => e.parentNode.hasAttribute("aria-sort"));
    if (list.length) list[(here + 1) % list.length].click();
  };
  let saying;
  const say = (text) => {
    $("#said").textContent = text;
    $("#said").hidden = false;
    clearTimeout(saying);
    saying = setTimeout(() => { $("#said").hidden = true; }, 3000);
  };
  const copy = async () => {
    try { await navigator.clipboard.writeText($("#main").innerText); say("copied as text"); }
    catch { say("not copied: the browser lets only pages over HTTPS or from this machine do so"); }
  };
  const back = () => {
    if (view === "servers") { if (location.search) location.assign("/"); else document.activeElement.blur(); }
    else location.assign(view === "wall" ? "/?view=floor" : "/");
  };
  const keys = {
    j: () => move(1), k: () => move(-1), ArrowDown: () => rows().includes(document.activeElement) && move(1), ArrowUp: () => rows().includes(document.activeElement) && move(-1),
    "/": () => $("#find, #names")?.focus(), s: sort, p: pause, e: () => location.assign(`/?view=events${view === "server" ? `&${location.search.slice(1)}` : ""}`), t: turn, y: copy, h: () => location.assign("/"), f: () => location.assign("/?view=floor"), w: () => location.assign("/?view=wall"),
    c: () => view === "server" ? $("#calls").scrollIntoView() : location.assign("/?view=calls"), g: () => $("#gaps")?.scrollIntoView(),
    "?": () => $("#keys").showModal(), Escape: back,
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("#keys")?.open) return;
    if (e.target.matches("input")) { if (e.key === "Escape") { e.target.value = ""; e.target.blur(); } return; }
    const does = Object.hasOwn(keys, e.key) && keys[e.key];
    if (!does) return;
    if (does() !== false) e.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", () => {
    beat(+$("#bar").dataset.now);
    document.addEventListener("click", (e) => { if (e.target.closest("#open-keys")) $("#keys").showModal(); if (e.target.closest("#pause")) pause(); });
    tick();
    connect();
    follow();
    setInterval(() => {
      const silent = performance.now() - heard, tapSilent = performance.now() - tapHeard;
      if (!dead && silent > 4000) stop("nothing has come from the bridge.");
      const old = performance.now() - measured > (dead ? soon : slowly);
      if ((silent > 8000 || old) && source.readyState !== EventSource.CLOSED) { heard = performance.now(); source.close(); connect(); } // nobody closes what a firewall forgot
      if (tapped && tapSilent > 12000 && tap.readyState !== EventSource.CLOSED) { tapDies("nothing has come from the bridge."); openTap(); }
      if (!dead) tick();
    }, 1000);
  });
  addEventListener("pagehide", () => { source?.close(); tapped = ""; openTap(); });
  addEventListener("pageshow", (e) => { if (e.persisted) { connect(); follow(); } });
})();
