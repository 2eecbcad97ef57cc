"use strict";
// The what-if panel: its controls, and the recommendation and the bill that follow from them.
(() => {
  const data = JSON.parse(document.getElementById("what-if-data").textContent);
  const panel = document.getElementById("what-if");
  if (!data || !panel) return;
  const advise = whatIf(data), at = (id) => document.getElementById(id);
  const form = panel.querySelector("form");
  const numbers = { volume: [at("w-volume"), at("r-volume"), true], price: [at("w-price"), at("r-price"), true],
    latency: [at("w-latency"), at("r-latency"), true], points: [at("w-points"), at("r-points"), false] };
  const tidy = (value) => String(Number(value.toPrecision(3)));
  const money = (usd, less = "< 1 cent") => {
    if (usd > 0 && usd < 0.005) return less;
    return "$" + usd.toLocaleString("en-US", { minimumFractionDigits: usd >= 100 ? 0 : 2, maximumFractionDigits: usd >= 100 ? 0 : 2 });
  };
  const ms = (o) => (o.p95 === null ? "not known" : tidy(o.p95) + " ms");
  const move = (name) => {
    const [input, range, log] = numbers[name], value = Number(input.value);
    if (input.value === "") range.value = range.max;
    else range.value = log ? Math.log10(Math.max(value, 1e-9)) : value;
  };
  const put = (settings) => {
    for (const name of Object.keys(numbers)) {
      numbers[name][0].value = settings[name] === null ? "" : settings[name];
      move(name);
    }
    for (const radio of form.elements.hosting) radio.checked = radio.value === settings.hosting;
  };
  const read = () => {
    const of = (name, least) => {
      const value = Number(numbers[name][0].value);
      return numbers[name][0].value !== "" && value >= least ? value : data.start[name];
    };
    return {
      volume: of("volume", 1), price: of("price", 0), points: of("points", 0), hosting: form.elements.hosting.value,
      latency: numbers.latency[0].value === "" || !(Number(numbers.latency[0].value) > 0) ? null : Number(numbers.latency[0].value),
    };
  };

  const quality = (o) => (o.test === null ? o.quality : o.test);
  const interval = (o) => (o.test_interval ? ` on test rows [${o.test_interval.map((v) => v.toFixed(3)).join(" to ")}]` : " on validation rows");
  const why = (o, found, settings) => {
    if (found.chosen && o.trial === found.chosen.trial) return "recommended";
    if (o.misses.length) return o.misses[0];
    if (!o.onFrontier) return "another one is as good and costs no more";
    const pair = found.beside.get(o.trial);
    if (o.trial === found.best.trial) return "the best; the recommended one is cheaper";
    if (o.cost >= found.best.cost) return "costs more than the best";
    if (!pair) return "not compared with the best on test rows";
    if (100 * pair.low < -settings.points) return `may lose up to ${(-100 * pair.low).toFixed(1)} points`;
    return "saves too little";
  };
  const row = (o, found, settings) => {
    const line = document.createElement("tr");
    if (found.chosen && o.trial === found.chosen.trial) line.className = "chosen";
    const cells = [[o.name, ""], [quality(o).toFixed(3), "n"], [money(o.month), "n"], [ms(o), "n"], [why(o, found, settings), ""]];
    for (const [text, kind] of cells) {
      const cell = document.createElement("td");
      cell.className = kind;
      cell.textContent = text;
      if (text === o.name) {
        const small = document.createElement("small");
        small.textContent = " trial " + o.trial;
        cell.append(small);
      }
      line.append(cell);
    }
    return line;
  };
  const MOST = 7;
  const show = () => {
    const settings = read(), found = advise(settings), chosen = found.chosen;
    panel.dataset.trial = chosen ? chosen.trial : "";
    panel.dataset.usd = chosen ? chosen.month : "";
    at("w-result").textContent = chosen
      ? `Use ${chosen.called}: ${quality(chosen).toFixed(3)}${interval(chosen)}, 95 % of answers within ${ms(chosen)}.`
      : "No option satisfies these limits.";
    at("w-bill").textContent = chosen ? money(chosen.month, "Less than a cent") : "";
    const devices = chosen && settings.hosting === "always_on" ? `, ${chosen.replicas} device${chosen.replicas === 1 ? "" : "s"}` : "";
    at("w-bill-note").textContent = chosen ? `a month for ${settings.volume.toLocaleString("en-US")} queries${devices}, training included` : "";
    const rank = (o) => (chosen && o.trial === chosen.trial ? 0 : o.onFrontier ? 1 : 2);
    const listed = [...found.options].sort((a, b) => rank(a) - rank(b) || b.expected - a.expected).slice(0, MOST);
    at("w-options").replaceChildren(...listed.map((o) => row(o, found, settings)));
    const limit = settings.latency === null ? "" : `,latency_p95_ms=${settings.latency}`;
    at("w-command").textContent =
      `autoadapt compare ${data.run} --scenario volume=${Math.round(settings.volume)},price=${settings.price},hosting=${settings.hosting}${limit}`;
  };
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      show();
    });
  };
  for (const [name, [input, range, log]] of Object.entries(numbers)) {
    input.addEventListener("input", () => (move(name), soon()));
    range.addEventListener("input", () => {
      const end = name === "latency" && range.value === range.max;
      const value = log ? 10 ** Number(range.value) : Number(range.value);
      input.value = end ? "" : name === "volume" ? Math.round(Number(value.toPrecision(3))) : tidy(value);
      soon();
    });
  }
  for (const radio of form.elements.hosting) radio.addEventListener("change", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  at("w-reset").addEventListener("click", () => (put(data.start), show()));
  put(data.start);
  show();
})();
