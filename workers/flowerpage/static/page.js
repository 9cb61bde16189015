// The page of launches: reads JSON, draws it, and draws it again when the ledger says that it changed.
(() => {
  "use strict";

  const root = document.getElementById("launches");
  const view = document.getElementById("view");
  const live = document.getElementById("live");
  const sure = document.getElementById("sure");
  const { base, launch, xsrf } = root.dataset;
  const asked = new URLSearchParams(location.search);
  const STATES = ["waiting", "running", "undoing", "succeeded", "failed", "cancelled"];
  const DRAWN = ["succeeded", "failed", "cancelled", "undoing", "running"];

  let known = null; // what was read last
  let skew = 0; // how far our clock is ahead of Flower's
  let said = ""; // what became of the button

  // Drawing

  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== "" && child !== undefined));
    return element;
  }

  // Make `have` look like `want` and keep every node that may stay: focus and selection live there.
  function morph(have, want) {
    for (const { name } of [...have.attributes]) {
      if (!want.hasAttribute(name)) have.removeAttribute(name);
    }
    for (const { name, value } of want.attributes) {
      if (have.getAttribute(name) !== value) have.setAttribute(name, value);
    }
    const wanted = [...want.childNodes];
    wanted.forEach((child, place) => {
      const there = have.childNodes[place];
      if (!there) have.append(child);
      else if (alike(there, child)) child.nodeType === Node.TEXT_NODE ? write(there, child) : morph(there, child);
      else there.replaceWith(child);
    });
    while (have.childNodes.length > wanted.length) have.lastChild.remove();
  }

  const write = (there, child) => {
    if (there.data !== child.data) there.data = child.data;
  };

  const alike = (one, other) =>
    one.nodeType === other.nodeType &&
    one.nodeName === other.nodeName &&
    (one.nodeType !== Node.ELEMENT_NODE || one.getAttribute("data-key") === other.getAttribute("data-key"));

  function draw() {
    if (!known) return;
    const next = h("div", { id: "view" }, launch ? drawLaunch(known) : drawOverview(known));
    morph(view, next);
    // The policy of this page allows no style attributes; widths are set one by one.
    for (const part of view.querySelectorAll("[data-left], [data-width]")) {
      part.style.left = `${part.dataset.left || 0}%`;
      part.style.width = `${part.dataset.width}%`;
    }
  }

  // Words

  const now = () => Date.now() - skew;

  function lasted(ms) {
    const seconds = Math.max(0, ms) / 1000;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 90) return `${Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
    return `${(seconds / 3600).toFixed(1)} h`;
  }

  function ago(ms) {
    const seconds = Math.round((now() - ms) / 1000);
    if (seconds < 5) return "now";
    if (seconds < 90) return `${seconds} s ago`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
    return `${Math.round(seconds / 86400)} days ago`;
  }

  const moment = (ms) => h("time", { datetime: new Date(ms).toISOString(), title: new Date(ms).toLocaleString() }, ago(ms));
  const chip = (state) => h("span", { class: `chip ${state}` }, state);
  const size = (bytes) => (bytes >= 2 ** 30 ? `${+(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`);

  function address(changes) {
    const words = new URLSearchParams(asked);
    for (const [name, value] of Object.entries(changes)) value ? words.set(name, value) : words.delete(name);
    const query = words.toString();
    return query ? `${base}?${query}` : base;
  }

  // The overview

  function drawOverview(all) {
    const batch = asked.get("batch");
    const named = all.batches.find((one) => one.id === batch)?.name;
    return [
      h("header", { class: "page-header" }, h("h1", {}, "Launches")),
      h("section", { "aria-labelledby": "batches-title" },
        h("h2", { id: "batches-title" }, "Batches"),
        all.batches.length
          ? h("ul", { class: "batches" }, all.batches.map((one) => drawBatch(one, batch)))
          : h("p", { class: "quiet" }, "No batch yet.")),
      h("section", { "aria-labelledby": "launches-title" },
        h("h2", { id: "launches-title" }, "Launches", batch ? [" of ", h("span", { class: "asis" }, named || batch)] : null),
        drawFilter(all, batch),
        all.launches.length
          ? h("ul", { class: "rows" }, all.launches.map(drawRow))
          : h("p", { class: "quiet" }, "None."),
        all.launches.length < all.total
          ? h("p", {}, h("a", { class: "button", href: address({ limit: Math.min(1000, all.launches.length + 200) }) }, `${all.launches.length} of ${all.total}: show more`))
          : null),
    ];
  }

  function drawBatch(batch, chosen) {
    const { count, states } = batch;
    const ended = states.succeeded + states.failed + states.cancelled;
    const words = [`${states.succeeded} of ${count} succeeded`];
    for (const state of ["failed", "cancelled", "undoing", "running", "waiting"]) {
      if (states[state]) words.push(`${states[state]} ${state}`);
    }
    return h("li", { "data-key": batch.id, class: "card batch" },
      h("div", { class: "head" },
        h("a", { href: address({ batch: batch.id, state: "", limit: "" }), "aria-current": chosen === batch.id ? "true" : null }, batch.name || batch.id),
        moment(batch.submitted)),
      h("div", { class: "bar", role: "progressbar", "aria-label": `${batch.name || batch.id}: ended`, "aria-valuemin": 0, "aria-valuemax": count, "aria-valuenow": ended },
        DRAWN.filter((state) => states[state]).map((state) => h("span", { class: `part ${state}`, "data-key": state, "data-width": (100 * states[state]) / count }))),
      h("p", { class: "quiet" }, words.join(", ")));
  }

  function drawFilter(all, batch) {
    const chosen = asked.get("state") || "";
    const link = (state, words, number) =>
      h("a", { class: "filter", href: address({ state, limit: "" }), "aria-current": chosen === state ? "page" : null }, words, " ", h("b", {}, String(number)));
    return h("nav", { class: "filters", "aria-label": "Launches by state" },
      link("", "all", STATES.reduce((sum, state) => sum + all.counts[state], 0)),
      STATES.map((state) => link(state, state, all.counts[state])),
      batch ? h("a", { class: "filter", href: address({ batch: "", state: "", limit: "" }) }, "leave the batch") : null);
  }

  function drawRow(one) {
    const what = one.why || [one.step, one.doing].filter(Boolean).join(", ") || one.addresses.join(", ");
    return h("li", { "data-key": one.id, class: "row" },
      h("a", { class: "name", href: `${base}/${one.id}` }, one.name),
      chip(one.state),
      h("span", { class: "what" }, what),
      h("span", { class: "quiet where" }, [one.pool, one.host].filter(Boolean).join(" / ")),
      h("span", { class: "quiet when" }, moment(one.ended || one.submitted)));
  }

  // One launch

  function drawLaunch(one) {
    const doing = [one.step, one.doing].filter(Boolean).join(", ");
    return [
      h("p", { class: "crumbs" }, h("a", { href: base }, "Launches"),
        one.batch ? [" / ", h("a", { href: `${base}?batch=${one.batch}` }, one.batch)] : null),
      h("header", { class: "page-header launch" },
        h("div", {}, h("h1", {}, one.name, " ", chip(one.state)), h("p", { class: "quiet mono" }, one.id)),
        drawCancel(one)),
      one.error ? drawError(one) : null,
      !one.ended && doing ? h("p", { class: "card doing" }, doing) : null,
      h("section", { class: "card", "aria-labelledby": "timeline-title" },
        h("h2", { id: "timeline-title" }, "Timeline"), drawTimeline(one)),
      h("div", { class: "halves" },
        h("section", { class: "card", "aria-labelledby": "facts-title" }, h("h2", { id: "facts-title" }, "Facts"), drawFacts(one)),
        h("section", { class: "card", "aria-labelledby": "made-title" }, h("h2", { id: "made-title" }, "Made for it"),
          one.made.length
            ? h("ul", { class: "made" }, one.made.map((fact) => h("li", {}, h("b", {}, fact.cls), " ", h("span", { class: "mono" }, fact.uuid || fact.ref))))
            : h("p", { class: "quiet" }, "Nothing."),
          ["failed", "cancelled"].includes(one.state) && one.made.length
            ? h("p", { class: "quiet" }, one.leftovers.length ? "Removed, but for what is named as left over." : "All of it was removed again.") : null)),
    ];
  }

  function drawCancel(one) {
    const words = { asked: "is being cancelled", late: "about to succeed: too late to cancel" }[one.cancel];
    return h("div", { class: "act" },
      one.cancel === "possible" ? h("button", { type: "button", id: "cancel", class: "button danger" }, "Cancel") : null,
      h("p", { class: "quiet", role: "status" }, words || (one.cancel === "possible" ? said : "")));
  }

  function drawError(one) {
    const { code, params, message } = one.error;
    return h("section", { class: "card error", "aria-labelledby": "error-title" },
      h("h2", { id: "error-title" }, one.state === "cancelled" ? "Cancelled" : "Why it failed"),
      h("p", { class: "message" }, message),
      h("p", { class: "mono quiet" }, [code, ...params].filter(Boolean).join(" · ")),
      one.refused_by.length ? [h("h3", {}, "Hosts that refused it"), h("ul", {}, one.refused_by.map((why) => h("li", {}, why)))] : null,
      one.leftovers.length ? [h("h3", {}, "Left over"), h("ul", {}, one.leftovers.map((left) => h("li", {}, `${left.cls} `, h("span", { class: "mono" }, left.uuid), `: ${left.advice}`)))] : null);
  }

  function drawTimeline(one) {
    const { spans } = one;
    const from = one.submitted;
    const until = Math.max(one.ended || now(), from + 1);
    const place = (began, ended) => ({
      "data-left": (100 * (began - from)) / (until - from),
      "data-width": Math.max(0.4, (100 * ((ended || until) - began)) / (until - from)),
    });
    const tone = (span) => (span.is_line ? "waiting" : span.step === "undo" ? "undoing" : span.stopped ? "failed" : span.ended ? "succeeded" : "running");
    return h("ol", { class: "timeline" },
      spans.map((span, number) => h("li", { "data-key": `${number}` },
        h("span", { class: "step" }, span.is_line ? "in the line" : span.step),
        h("span", { class: "track", "aria-hidden": "true" },
          h("span", { class: `part ${tone(span)}`, ...place(span.began, span.ended) }),
          span.waits.filter((wait) => wait.ended !== wait.began).map((wait, index) => h("span", { class: "part parked", "data-key": `w${index}`, ...place(wait.began, wait.ended) }))),
        h("span", { class: "took" }, lasted((span.ended || now()) - span.began)),
        span.waits.length ? h("ul", { class: "waits" }, span.waits.map(drawWait)) : null)),
      one.ahead.map((step) => h("li", { "data-key": step, class: "ahead" }, h("span", { class: "step" }, step), h("span", { class: "track" }), h("span", { class: "took" }, ""))));
  }

  function drawWait(wait) {
    const what = wait.retry ? wait.what : `parked on ${wait.what}`;
    const took = wait.ended === wait.began ? "" : ` ${lasted((wait.ended || now()) - wait.began)}`;
    return h("li", {}, what, took ? h("b", {}, took) : null, wait.ended ? null : " so far");
  }

  function drawFacts(one) {
    const { request } = one;
    const facts = {
      pool: one.pool, host: one.host, vm: one.vm_uuid, addresses: one.addresses.join(", "), macs: one.macs.join(", "),
      template: request.template, vcpus: request.vcpus, memory: request.memory && size(request.memory),
      "added disks": request.disks || null, nics: request.nics && (request.nics.join(", ") || "none"),
      owner: request.owner, priority: request.priority, "wait for": request.wait_for, "on failure": request.on_failure, note: one.note,
    };
    const shown = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return h("dl", { class: "facts" },
      shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
      h("div", {}, h("dt", {}, "submitted"), h("dd", {}, moment(one.submitted))),
      one.ended ? h("div", {}, h("dt", {}, "ended"), h("dd", {}, moment(one.ended), ` after ${lasted(one.ended - one.submitted)}`)) : null);
  }

  // Reading

  let reading = false;
  let again = false;

  async function load() {
    if (reading) { again = true; return; }
    reading = true;
    try {
      const answer = await fetch(launch ? `${base}/api/launch/${launch}` : `${base}/api/overview?${asked}`);
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.message);
      known = body;
      skew = Date.now() - body.now;
      draw();
      if (live.dataset.state === "lost") say(events.readyState === EventSource.OPEN ? "live" : "waiting for events");
    } catch (lost) {
      say(lost instanceof TypeError ? "Flower does not answer" : lost.message, "lost");
    } finally {
      reading = false;
      if (again) { again = false; setTimeout(load, 250); }
    }
  }

  function say(words, state = words) {
    if (live.textContent !== words) live.textContent = words;
    live.dataset.state = state;
  }

  let events;

  function follow() {
    events = new EventSource(`${base}/api/events`);
    events.onopen = () => { say("live"); load(); };
    events.onmessage = (event) => { if (!launch || JSON.parse(event.data).includes(launch)) load(); };
    events.onerror = () => {
      say("connection lost, trying again", "lost");
      if (events.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
    };
  }

  // The button

  root.addEventListener("click", (event) => {
    if (event.target.id === "cancel") { sure.returnValue = "no"; sure.showModal(); }
  });

  sure.addEventListener("close", async () => {
    if (sure.returnValue !== "yes") return;
    said = "asking a worker";
    draw();
    try {
      const answer = await fetch(`${base}/api/cancel/${launch}`, { method: "POST", headers: { "X-XSRFToken": xsrf } });
      said = answer.ok ? "a worker has been asked" : (await answer.json()).message;
    } catch {
      said = "Flower does not answer";
    }
    load();
  });

  setInterval(draw, 1000);
  setInterval(load, 15000);
  load();
  follow();
})();
