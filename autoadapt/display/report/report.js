"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures"), trials = read("trials");
  const root = document.documentElement, tabs = [...document.querySelectorAll('[role="tab"]')];

  // -- plots, drawn when they first become visible
  const colours = () => {
    const style = getComputedStyle(root);
    const of = (name) => style.getPropertyValue(name).trim();
    return { ink: of("--ink"), line: of("--line"), page: of("--page"), card: of("--card") };
  };
  const themed = (layout) => {
    const c = colours(), out = structuredClone(layout);
    out.paper_bgcolor = out.plot_bgcolor = "rgba(0,0,0,0)";
    out.font = { ...(out.font || {}), color: c.ink, family: "system-ui, sans-serif" };
    out.hoverlabel = { ...(out.hoverlabel || {}), bgcolor: c.card, bordercolor: c.line, font: { color: c.ink } };
    for (const axis of Object.keys(out).filter((key) => /^[xy]axis/.test(key))) {
      out[axis] = { ...(out[axis] || {}), gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line };
    }
    for (const note of out.annotations || []) {
      note.font = { color: c.ink, ...(note.font || {}) };
      if (note.showarrow) note.bgcolor = c.page;
    }
    return out;
  };
  // words in lines of at most so many letters
  const broken = (text, letters) => {
    const lines = [""];
    for (const word of String(text).split(" ")) {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length >= letters) lines.push(word);
      else lines[lines.length - 1] = last ? last + " " + word : word;
    }
    return lines.join("<br>");
  };
  // on a narrow page points bear their trial numbers, labels at the ends of lines stand below the plot, titles and the
  // names of rows are broken into lines, axes have few ticks, and a figure of several parts is scrolled
  const narrowed = (layout, data, width) => {
    if (width >= 640) return layout;
    if (layout.xaxis2) return { ...layout, autosize: false, width: 760 };
    let below = 0;
    layout.margin = { ...layout.margin, l: 52, r: 10 };
    for (const bars of data) {
      if (Array.isArray(bars.y) && typeof bars.y[0] === "string") bars.y = bars.y.map((name) => broken(name, 18));
    }
    const x = (layout.xaxis = { ...layout.xaxis, nticks: 4, tickangle: 0 });
    if (x.title && x.title.text) x.title = { ...x.title, text: broken(x.title.text, 30) };
    if (x.tickvals) {
      const step = Math.ceil(x.tickvals.length / 5), few = (list) => list.filter((_, i) => i % step === 0);
      Object.assign(x, { tickvals: few(x.tickvals), ticktext: few(x.ticktext) });
    }
    for (const note of layout.annotations || []) {
      if (note.name) note.text = note.name;
      if (note.xref === "paper" && note.x === 1) {
        Object.assign(note, { x: 0, y: 0, xanchor: "left", yanchor: "top", yshift: -58 - 17 * below });
        below += 1;
      }
    }
    if (below) layout.margin.b = 68 + 17 * below;
    return layout;
  };
  const settings = { responsive: true, displaylogo: false, displayModeBar: false };
  const draw = (box) => {
    const figure = figures[box.dataset.figure];
    if (!figure) return;
    if (figure.layout.height) box.style.minHeight = figure.layout.height + "px";
    const data = structuredClone(figure.data);
    const layout = narrowed(themed(figure.layout), data, box.clientWidth);
    Plotly.react(box, data, layout, { ...settings, responsive: !layout.width });
    box.dataset.drawn = "yes";
  };
  const drawIn = (section) => section.querySelectorAll(".plot:not([data-drawn])").forEach(draw);
  const drawAll = () => document.querySelectorAll(".plot").forEach((box) => box.dataset.drawn && draw(box));

  // -- tabs
  const show = (name) => {
    for (const tab of tabs) {
      const on = tab.id === "tab-" + name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
      if (on) drawIn(document.getElementById(tab.getAttribute("aria-controls")));
    }
  };
  const names = tabs.map((tab) => tab.id.slice(4));
  const go = (name, focus) => {
    history.replaceState(null, "", "#" + name);
    show(name);
    if (focus) document.getElementById("tab-" + name).focus();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => go(names[i], false));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      go(names[(to + tabs.length) % tabs.length], true);
    });
  });
  const addressed = () => (names.includes(location.hash.slice(1)) ? location.hash.slice(1) : names[0]);
  window.addEventListener("hashchange", () => show(addressed()));

  // -- theme
  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = (value) => {
    root.dataset.theme = value;
    theme.textContent = value === "dark" ? "Light" : "Dark";
    drawAll();
  };
  theme.addEventListener("click", () => set(root.dataset.theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", () => set(dark.matches ? "dark" : "light"));

  // -- table of trials: every cell is set as text, never as markup
  const body = document.querySelector("#trials-table tbody"), count = document.getElementById("count");
  const query = document.getElementById("query"), state = document.getElementById("state"), method = document.getElementById("method");
  let sorted = { column: "trial", up: true };
  const columns = [...document.querySelectorAll("#trials-table th button")].map((b) => b.dataset.column);
  const at = Object.fromEntries(columns.map((name, i) => [name, i]));
  const written = (value) => {
    if (value === null) return "";
    return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  };
  const lines = trials.map((row) => {
    const line = document.createElement("tr");
    if (row.on_frontier) line.className = "chosen";
    for (const value of row.values) {
      const cell = document.createElement("td");
      if (typeof value === "number") cell.className = "n";
      cell.textContent = written(value);
      line.append(cell);
    }
    return { row, line, text: row.values.map(written).join(" ").toLowerCase() };
  });
  const fill = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = lines.filter(
      ({ row, text }) =>
        (!state.value || row.values[at.state] === state.value) && (!method.value || row.values[at.method] === method.value) && words.every((w) => text.includes(w)),
    );
    const value = ({ row }) => row.values[at[sorted.column]];
    shown.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === y) return a.row.values[at.trial] - b.row.values[at.trial];
      if (x === null) return 1;
      if (y === null) return -1;
      return (x < y ? -1 : 1) * (sorted.up ? 1 : -1);
    });
    body.replaceChildren(...shown.map((entry) => entry.line));
    count.textContent = shown.length + " of " + trials.length + " trials";
  };
  for (const control of [query, state, method]) control.addEventListener("input", fill);
  document.querySelectorAll("#trials-table th button").forEach((button) =>
    button.addEventListener("click", () => {
      const column = button.dataset.column;
      sorted = { column, up: sorted.column === column ? !sorted.up : true };
      document.querySelectorAll("#trials-table th").forEach((th) => th.removeAttribute("aria-sort"));
      button.closest("th").setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
      fill();
    }),
  );

  // -- print: every plot is drawn, in light colours
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    document.querySelectorAll("section").forEach((section) => (section.hidden = false));
    set("light");
    document.querySelectorAll("section, article").forEach(drawIn);
    document.querySelectorAll("details").forEach((part) => (part.open = true));
  });
  window.addEventListener("afterprint", () => {
    set(before || "light");
    show(addressed());
  });

  root.dataset.theme = dark.matches ? "dark" : "light";
  fill();
  show(addressed());
  drawIn(document.getElementById("answer"));
  set(root.dataset.theme);
  if (names.includes(location.hash.slice(1))) document.querySelector('[role="tablist"]').scrollIntoView();
})();
