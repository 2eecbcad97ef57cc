"use strict";
// What `autoadapt compare` would recommend, computed in the page. The formulas are those of economics/pricer.py,
// economics/queueing.py, pareto/ties.py and verdict/recommendation.py; tests compare them on random settings.
const whatIf = (data) => {
  const SECONDS_A_MONTH = 730 * 3600, HOURS_A_MONTH = 730;
  const GOOD = 0.99, KEEPS_UP = 0.95, PRECISION = 1.05, MOST_APART = 2, HALVINGS = data.halvings, LEAST_SAMPLES = 59, BUSY = 0.02;
  const SURE = 1.96, SAME_COST = 1.2, LEVEL = 0.05, LEAST_USD_A_MONTH = 0.01;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const chosen = data.draws && new Uint32Array(bytes(data.draws.chosen));
  const gaps = data.draws && new Float32Array(bytes(data.draws.gaps));

  // -- percentiles and shares
  const quantile = (sorted, share) => {
    const at = share * (sorted.length - 1), low = Math.floor(at), part = at - low;
    const a = sorted[low], b = sorted[Math.min(low + 1, sorted.length - 1)];
    return part >= 0.5 ? b - (b - a) * (1 - part) : a + (b - a) * part;
  };
  const atMost = (values, most) => {
    let count = 0;
    for (const value of values) if (value <= most) count += 1;
    return count;
  };
  const figures = (ms) => {
    const sorted = Float64Array.from(ms).sort();
    return { ms, n: sorted.length, p95: sorted.length ? quantile(sorted, 0.95) : NaN };
  };

  // -- load tests (economics/queueing.py)
  const loads = new Map();
  const loadOf = (option) => {
    if (option.load === null) return null;
    const key = option.load + "/" + option.ratio;
    if (!loads.has(key)) {
      const listed = data.loads[option.load];
      const runs = listed.runs.map((run) => {
        const us = new Uint32Array(bytes(run.us));
        const ms = Float64Array.from(us, (value) => (value / 1000) * option.ratio);
        return { rate: run.rate / option.ratio, sent: run.sent, keepsUp: run.keeps_up, ...figures(ms) };
      });
      const first = runs[0].ms, mean = first.reduce((sum, value) => sum + value, 0) / first.length / 1000;
      loads.set(key, { ...listed, runs, first, mean, capacities: new Map(), rates: new Map() });
    }
    return loads.get(key);
  };
  const estimateOf = (option) => (option.estimate === null ? null : loadOf({ load: option.estimate, ratio: 1 }));
  const singleServer = (service, rate) => {
    const out = new Float64Array(chosen.length), n = service.length;
    let step = 0, least = 0, before = 0;
    for (let i = 0; i < out.length; i += 1) {
      const seconds = service[Math.floor((chosen[i] * n) / 4294967296)] / 1000;
      if (i > 0) step += before - gaps[i] / Math.max(rate, 1e-12);
      least = Math.min(least, step);
      out[i] = (step - least + seconds) * 1000;
      before = seconds;
    }
    return out;
  };
  const singleServerRate = (load, target) => {
    let low = 0, high = KEEPS_UP / load.mean;
    if (target === null) return high;
    for (let i = 0; i < HALVINGS; i += 1) {
      const middle = (low + high) / 2, out = singleServer(load.first, middle);
      if (atMost(out, target) / out.length >= GOOD) low = middle;
      else high = middle;
    }
    return atMost(load.first, target) / load.first.length >= GOOD ? low : 0;
  };
  const fits = (run, target) => run.keepsUp && (target === null || (run.sent ? atMost(run.ms, target) / run.sent : 0) >= GOOD);
  const between = (below, above, target, less) => {
    const last = Math.ceil(GOOD * below.n - 1e-9) - 1, fast = below.ms[last], slow = above.ms[last];
    if (slow <= target) return below.rate;
    return Math.max(below.rate, (below.rate * (above.rate / below.rate) ** ((target - fast) / (slow - fast))) / less);
  };
  const computeCapacity = (load, target) => {
    let below = null;
    for (const run of load.runs) {
      if (!fits(run, target)) break;
      below = run;
    }
    const above = load.runs.find((run) => run.rate > (below ? below.rate : 0) && !fits(run, target));
    let best = below && below.rate;
    if (above && below && target !== null && load.simulated) best = between(below, above, target, load.margin);
    if (above && below && above.rate <= MOST_APART * best) return { rate: best, measured: load.full };
    let alone = load.first.length ? singleServerRate(load, target) : 0;
    if (load.simulated) alone = Math.min(alone, load.runs[load.runs.length - 1].rate);
    if (above && alone >= above.rate) alone = above.rate / MOST_APART;
    const rate = Math.max(best || 0, alone);
    return { rate: rate || null, measured: load.full && rate === best };
  };
  const capacity = (load, target) => {
    if (!load.capacities.has(target)) load.capacities.set(target, computeCapacity(load, target));
    return load.capacities.get(target);
  };
  const interpolated = (runs, rate) => {
    const found = runs.findIndex((run) => run.rate >= rate), i = found < 0 ? runs.length - 1 : found;
    if (i === 0 || runs[i].rate <= rate) return { ...runs[i], answered: 1 };
    const below = runs[i - 1], above = runs[i];
    const share = Math.log(rate / below.rate) / Math.log(above.rate / below.rate);
    return { ...figures(below.ms.map((ms, k) => (1 - share) * ms + share * above.ms[k])), answered: 1 };
  };
  const computeAtRate = (load, rate) => {
    if (load.simulated) return interpolated(load.runs, rate);
    const run = load.runs.find((each) => each.rate >= rate) || load.runs[load.runs.length - 1];
    const answered = run.sent ? run.n / run.sent : 0, lowest = load.runs[0];
    const alone = lowest.rate < rate && run.rate > PRECISION * rate && lowest.n >= LEAST_SAMPLES;
    if (!alone || rate * load.mean >= KEEPS_UP) return { ...run, answered };
    const simulated = figures(singleServer(load.first, rate));
    return simulated.p95 < (run.n >= LEAST_SAMPLES ? run.p95 : Infinity) ? { ...simulated, answered } : { ...run, answered };
  };
  const atRate = (load, rate) => {
    if (!load.rates.has(rate)) {
      if (load.rates.size > 50) load.rates.clear();
      load.rates.set(rate, computeAtRate(load, rate));
    }
    return load.rates.get(rate);
  };

  // -- the price of one option (economics/pricer.py)
  const loadedShare = (target) => {
    const shares = [];
    for (const option of data.options) {
      if (option.load === null) continue;
      const found = capacity(loadOf(option), target);
      if (found.measured && found.rate !== null && option.row_seconds) shares.push(found.rate * option.row_seconds);
    }
    shares.sort((a, b) => a - b);
    const half = shares.length >> 1;
    if (!shares.length) return 1;
    return shares.length % 2 ? shares[half] : (shares[half - 1] + shares[half]) / 2;
  };
  const replicas = (option, settings, peak, share) => {
    const load = loadOf(option) || (settings.latency === null ? null : estimateOf(option));
    const rate = (load && capacity(load, settings.latency).rate) || share / option.row_seconds;
    return Math.max(1, Math.ceil(peak / rate));
  };
  const price = (option, settings, share) => {
    const hour = settings.price * data.overhead, peak = settings.volume / SECONDS_A_MONTH;
    const count = option.row_seconds ? replicas(option, settings, peak, share) : 0;
    const busyHours = (settings.volume * option.row_seconds) / 3600;
    const devices = settings.hosting === "per_use" ? hour * busyHours : count * hour * HOURS_A_MONTH;
    const month = devices + settings.volume * option.row_usd + option.training_usd / data.horizon_months;
    const rate = peak / Math.max(1, count);
    const load = loadOf(option), estimate = estimateOf(option), found = load && atRate(load, rate);
    const measured = load && (load.simulated ? Math.min(found.n, load.single) : found.n);
    const loaded = measured >= LEAST_SAMPLES ? found : null;
    let p95 = option.p95;
    if (loaded) p95 = loaded.p95;
    else if (p95 !== null && rate * option.row_seconds > BUSY && estimate) p95 = atRate(estimate, rate).p95;
    let within = null;
    if (settings.latency !== null && loaded) within = (atMost(loaded.ms, settings.latency) / loaded.n) * loaded.answered;
    return { ...option, option, month, cost: (month * 1000) / settings.volume, replicas: count, p95, within };
  };

  // -- what satisfies the limits, and what is dominated (pareto/ties.py)
  const latencyOf = (o) => (o.p95 === null ? o.p50 : o.p95);
  const lateness = (o, target) => {
    if (o.p95 === null) return "its slowest answers were not timed often enough";
    if (o.p95 > target) return `too slow: ${o.p95.toPrecision(3)} ms`;
    if (o.p95 * o.p95_high > target) return `may be too slow: up to ${(o.p95 * o.p95_high).toPrecision(3)} ms`;
    if (o.within !== null && o.within < GOOD) return `only ${(100 * o.within).toFixed(1)} % of answers in time`;
    return "";
  };
  const misses = (o, settings) => {
    const limits = data.limits, found = [];
    if (limits.quality !== null && o.quality < limits.quality) found.push("quality below the limit");
    if (limits.cost_usd_per_1k !== null && o.cost > limits.cost_usd_per_1k) found.push("costs more than the limit");
    const late = settings.latency === null ? "" : lateness(o, settings.latency);
    if (late) found.push(late);
    if (limits.training_usd !== null && o.training_usd > limits.training_usd) found.push("training costs too much");
    if (limits.memory_mb !== null && o.memory_mb > limits.memory_mb) found.push("needs too much memory");
    if (limits.artifact_mb !== null && o.artifact_mb > limits.artifact_mb) found.push("too large");
    if (limits.robustness_points !== null && (o.may_lose === null || o.may_lose > limits.robustness_points))
      found.push(o.may_lose === null ? "not scored under perturbations" : "perturbations may cost too much");
    return found;
  };
  const main = Math.max(0, data.goals.findIndex((goal) => goal.uncertain));
  const valueOf = (o, name) =>
    name === "quality" ? o.expected : name === "cost_usd_per_1k" ? o.cost : name === "latency_ms" ? latencyOf(o) : o.values[name];
  const errorOf = (o, name) => (name === "cost_usd_per_1k" ? o.cost_error : name === "latency_ms" ? o.latency_error : 0);
  const frontierOf = (options, volume) => {
    const least = data.goals.map((g) => (g.name === "cost_usd_per_1k" ? (LEAST_USD_A_MONTH * 1000) / Math.floor(volume) : 0));
    const standing = options.map((o) => ({
      o,
      losses: data.goals.map((g) => (g.maximized ? -1 : 1) * valueOf(o, g.name)),
      errors: data.goals.map((g) => errorOf(o, g.name)),
    }));
    const keys = [main, ...data.goals.keys()].filter((k, i) => i === 0 || k !== main);
    const ordered = [...standing].sort((a, b) => {
      for (const k of keys) if (a.losses[k] !== b.losses[k]) return a.losses[k] - b.losses[k];
      return 0;
    });
    const kept = [];
    for (const one of ordered) {
      const dominates = (better) =>
        better.losses[main] <= one.losses[main] &&
        keys.slice(1).every((k) => {
          let margin = Math.abs(one.losses[k]) * Math.expm1(SURE * Math.hypot(one.errors[k], better.errors[k]));
          if (one.o.served && better.o.served === one.o.served) margin = Math.max(margin, least[k]);
          return better.losses[k] - one.losses[k] <= margin;
        });
      if (!kept.some(dominates)) kept.push(one);
    }
    return new Set(kept.map((one) => one.o.trial));
  };

  // -- the recommendation (verdict/recommendation.py)
  const pairsWith = (trial) => {
    const found = new Map();
    for (const [a, b, difference, low, high, p] of data.pairs) {
      if (b === trial) found.set(a, { difference, low, high, p });
      else if (a === trial) found.set(b, { difference: -difference, low: -high, high: -low, p });
    }
    return found;
  };
  const better = (top, options) => {
    const trials = new Set(options.map((o) => o.trial));
    const compared = [...pairsWith(top.trial)].filter(([trial]) => trials.has(trial));
    const found = new Set();
    let least = 0;
    compared.sort((a, b) => a[1].p - b[1].p).forEach(([trial, pair], i) => {
      least = Math.max(least, Math.min(1, (compared.length - i) * pair.p));
      if (least < LEVEL && pair.difference > 0) found.add(trial);
    });
    return found;
  };
  const first = (options, isBetter) => options.reduce((best, o) => (best === null || isBetter(o, best) ? o : best), null);
  const bestOf = (options) => {
    const top = first(options, (a, b) => a.expected > b.expected), found = better(top, options);
    return first(options.filter((o) => found.has(o.trial)), (a, b) => (a.test || 0) > (b.test || 0)) || top;
  };
  const meanQuality = (o) => (o.test === null ? o.expected : (o.expected + o.test) / 2);
  const bestOfCheapest = (options) => {
    const least = Math.min(...options.map((o) => o.cost));
    const above = (a, b) =>
      meanQuality(a) !== meanQuality(b) ? meanQuality(a) > meanQuality(b) : -latencyOf(a) > -latencyOf(b);
    return first(options.filter((o) => o.cost <= least * SAME_COST), above);
  };
  const clearlyLess = (cost, other) => cost < other && cost * SAME_COST <= other;

  // Settings: volume (queries a month), price (USD of a device-hour), hosting, latency (ms or null), points.
  return (settings) => {
    const share = loadedShare(settings.latency);
    const options = data.options.map((option) => price(option, settings, share));
    for (const o of options) o.misses = misses(o, settings);
    const fitting = options.filter((o) => !o.misses.length);
    const kept = frontierOf(options, settings.volume);
    if (fitting.length < options.length) for (const trial of frontierOf(fitting, settings.volume)) kept.add(trial);
    for (const o of options) o.onFrontier = kept.has(o.trial);
    const candidates = fitting.filter((o) => o.onFrontier);
    if (!candidates.length) return { options, best: null, chosen: null, beside: new Map() };
    const best = bestOf(candidates), beside = pairsWith(best.trial);
    const saved = (o) => ((best.cost - o.cost) * settings.volume) / 1000;
    const cheaper = candidates.filter(
      (o) =>
        clearlyLess(o.cost, best.cost) && saved(o) >= data.least_saving_usd &&
        beside.has(o.trial) && 100 * beside.get(o.trial).low >= -settings.points,
    );
    return { options, best, chosen: cheaper.length ? bestOfCheapest(cheaper) : best, beside };
  };
};
