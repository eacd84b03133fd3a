// The little that pages can't do by themselves: charts, the theme's button, a question before what can't be taken back, a preview that
// follows what is typed.
// Without this file every page works and every form sends.
"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const charts = new Map();

  function setUpTheme() {
    const button = document.getElementById("theme");
    if (!button) return;
    const label = button.querySelector("span");
    label.textContent = root.dataset.theme || "auto";
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(label.textContent) + 1) % themes.length];
      label.textContent = next;
      if (next === "auto") delete root.dataset.theme;
      else root.dataset.theme = next;
      try {
        if (next === "auto") localStorage.removeItem("sendwright-theme");
        else localStorage.setItem("sendwright-theme", next);
      } catch {
        // it holds for this page, then
      }
      drawAnew();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
  }

  function setUpQuestions() {
    document.addEventListener("submit", (event) => {
      const question = event.target.dataset.ask;
      if (question && !window.confirm(question)) event.preventDefault();
    });
  }

  function setUpTicks() {
    for (const all of document.querySelectorAll("input[data-all]")) {
      const boxes = () => all.closest("table").querySelectorAll("tbody input[type=checkbox]");
      all.hidden = false;
      all.addEventListener("change", () => boxes().forEach((box) => (box.checked = all.checked)));
    }
  }

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function short(value) {
    if (value >= 1e6) return `${+(value / 1e6).toFixed(1)}M`;
    if (value >= 1e4) return `${Math.round(value / 1e3)}k`;
    return value.toLocaleString("en");
  }

  function milliseconds(value) {
    return value >= 10000 ? `${+(value / 1000).toFixed(1)} s` : `${short(Math.round(value))} ms`;
  }

  function bar(label, tone) {
    return { label, stroke: tone, fill: tone, width: 0, paths: uPlot.paths.bars({ size: [0.74, 28], radius: 0.2 }), points: { show: false } };
  }

  function line(label, tone) {
    return { label, stroke: tone, width: 1.75, points: { show: true, size: 5, fill: tone, width: 0 } };
  }

  const kinds = {
    volume: {
      columns: ["accepted", "failed"],
      said: short,
      series: () => [
        bar("Accepted", colour("--accent-bar")),
        bar("Failed or expired", colour("--bad")),
      ],
    },
    latency: {
      columns: ["p50", "p95"],
      said: milliseconds,
      series: () => [
        line("p50", colour("--accent")),
        line("p95", colour("--doubt")),
      ],
    },
  };

  function columns(kind) {
    const held = document.getElementById("series");
    const series = JSON.parse(held.dataset.series);
    const shown = (value) => (value === 0 && kind === "volume" ? null : value); // nothing is no bar
    return [series.at, ...kinds[kind].columns.map((name) => series[name].map(shown))];
  }

  function options(kind, place) {
    const { said, series } = kinds[kind];
    const axis = { stroke: colour("--muted"), font: "11px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const [times] = columns(kind);
    const half = (times[1] - times[0]) / 2;
    const clock = (stamp) => new Date(stamp * 1000).toISOString().slice(11, 16);
    return {
      width: place.clientWidth,
      height: 200,
      padding: [8, 8, 0, 0],
      cursor: { y: false, points: { size: 7 } },
      legend: { live: true },
      scales: { x: { time: true, range: (_, low, high) => [low - half, high + half] }, y: { range: (_, low, high) => [0, Math.max(high * 1.15, kind === "volume" ? 4 : 10) || 1] } },
      axes: [
        { ...axis, size: 28, grid: { show: false }, space: 70, values: (_, splits) => splits.map(clock) },
        { ...axis, size: 56, space: 36, values: (_, splits) => splits.map((v) => (Number.isInteger(v) || kind === "latency" ? said(v) : "")) },
      ],
      series: [
        { label: "UTC", value: (_, v) => (v == null ? "—" : clock(v)) },
        ...series().map((one) => ({ ...one, value: (_, v) => (v == null ? "—" : said(v)) })),
      ],
    };
  }

  function draw(place) {
    const kind = place.dataset.chart;
    const chart = new uPlot(options(kind, place), columns(kind), place);
    charts.set(place, chart);
    place.setAttribute("aria-label", summary(kind));
  }

  function summary(kind) {
    const [, first, second] = columns(kind);
    const last = (column) => column.at(-1) ?? 0;
    const names = kinds[kind].series().map((one) => one.label);
    return `${names[0]} ${kinds[kind].said(last(first))}, ${names[1]} ${kinds[kind].said(last(second))} in the newest span`;
  }

  function drawAnew() {
    for (const [place, chart] of [...charts]) {
      chart.destroy();
      draw(place);
    }
  }

  function setUpCharts() {
    const places = document.querySelectorAll("[data-chart]");
    if (!places.length || !window.uPlot) return;
    places.forEach(draw);
    new ResizeObserver(() => {
      for (const [place, chart] of charts) {
        if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: 200 });
      }
    }).observe(places[0]);
    document.body.addEventListener("htmx:afterSettle", () => {
      for (const [place, chart] of charts) chart.setData(columns(place.dataset.chart));
    });
  }

  // A mail is shown in a frame that has no part in the page: its form is sent there.
  function showMails() {
    for (const form of document.querySelectorAll("form[data-mail]")) {
      delete form.dataset.mail;
      form.hidden = true;
      form.submit();
    }
  }

  function setUpPreview() {
    showMails();
    document.body.addEventListener("htmx:afterSettle", () => {
      showMails();
      for (const fault of document.querySelectorAll(".faults")) {
        const field = document.querySelector(`[aria-describedby="${fault.id}"]`);
        if (field) field.setAttribute("aria-invalid", fault.childElementCount > 0);
      }
    });
  }

  // What is shown once is gone when the page is left, also for who comes back to it; and coming anew makes no second one.
  function setUpOnce() {
    const once = document.querySelector("[data-once]");
    if (!once) return;
    history.replaceState(null, "", location.pathname.replace(/\/rotate$/, ""));
    addEventListener("pagehide", () => once.remove());
    const button = once.querySelector("[data-copy]");
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      }
    });
  }

  // Where the links are a row that scrolls, the one of this page is to be seen.
  document.querySelector(".side nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  setUpTheme();
  setUpQuestions();
  setUpTicks();
  setUpCharts();
  setUpPreview();
  setUpOnce();
})();
