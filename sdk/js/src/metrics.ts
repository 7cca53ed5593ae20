/**
 * Metrics of one site's own cases, equal to those of the Python package: counts at a threshold,
 * their rates with Wilson's interval, AUROC with the default interval, observed to expected events.
 *
 * Nothing here is released: a release is made by the disclosure gate of the Python package.
 */

import { MetricError, counted } from "./errors.js";

/** A value with its confidence interval; `value` is null where the statistic is not estimable. */
export interface Estimate {
  readonly value: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly se: number | null;
  readonly level: number;
  readonly method: string;
  readonly n: number;
  readonly n_events: number;
  readonly reason: string | null;
}

/** Cases counted by reference standard and prediction. */
export interface Confusion {
  readonly tp: number;
  readonly fp: number;
  readonly fn: number;
  readonly tn: number;
}

const SMALL_CLASS = 30;
const NO_SPREAD = "the interval would have no width in these cases: not given";

/** Reference standard of each case: true or 1 with the condition, false or 0 without. */
export type Reference = ArrayLike<boolean | number>;

/**
 * Count the cases by reference standard and prediction; a score at the threshold is positive.
 *
 * @throws MetricError if the lists do not fit each other or hold something else than 0, 1 and numbers
 */
export function confusionAt(reference: Reference, score: ArrayLike<number>, threshold: number): Confusion {
  const { labels, scores } = checked(reference, score);
  if (!(threshold >= 0 && threshold <= 1)) throw new MetricError("a threshold is a number from 0 to 1");
  const cells = { tp: 0, fp: 0, fn: 0, tn: 0 };
  labels.forEach((event, i) => {
    const positive = (scores[i] ?? 0) >= threshold;
    if (event) cells[positive ? "tp" : "fn"] += 1;
    else cells[positive ? "fp" : "tn"] += 1;
  });
  return cells;
}

/** Return sensitivity, specificity, predictive values, prevalence and accuracy of counts. */
export function rates(cells: Confusion, level = 0.95): Record<
  "sensitivity" | "specificity" | "ppv" | "npv" | "prevalence" | "accuracy",
  Estimate
> {
  const { tp, fp, fn, tn } = cells;
  const n = tp + fp + fn + tn;
  return {
    sensitivity: proportion(tp, tp + fn, level),
    specificity: proportion(tn, tn + fp, level),
    ppv: proportion(tp, tp + fp, level),
    npv: proportion(tn, tn + fn, level),
    prevalence: proportion(tp + fn, n, level),
    accuracy: proportion(tp + tn, n, level),
  };
}

/** Proportion k / n with Wilson's interval (Wilson 1927 J Am Stat Assoc 22:209). */
export function proportion(k: number, n: number, level = 0.95): Estimate {
  if (!(Number.isInteger(k) && Number.isInteger(n) && k >= 0 && k <= n)) {
    throw new MetricError("a proportion needs counts 0 <= k <= n");
  }
  const sample = new Sample(n, k, level);
  if (n === 0) return sample.notEstimable("no case in the denominator", "wilson");
  const p = k / n;
  return sample.withBounds(p, wilson(k, n, sample.z), Math.sqrt((p * (1 - p)) / n), "wilson");
}

function wilson(k: number, n: number, z: number): readonly [number, number] {
  const p = k / n;
  const scale = 1 + z ** 2 / n;
  const centre = (p + z ** 2 / (2 * n)) / scale;
  const half = (z / scale) * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2));
  // Below one half as product over upper bound: a difference would cancel digits.
  if (k < n / 2) return [p ** 2 / scale / (centre + half), centre + half];
  return [centre - half, k === n ? 1 : centre + half];
}

/**
 * Area under the ROC curve: the probability that a case with the condition scores higher, ties one half.
 *
 * The interval is DeLong's on the logit scale; where a class has fewer than 30 cases, the wider of it
 * and Newcombe's method 5, which also replaces it where the area is 0 or 1 or the variance is 0.
 * DeLong 1988 Biometrics 44:837; Newcombe 2006 Stat Med 25:559.
 *
 * @throws MetricError if a class is empty or the lists do not fit
 */
export function auroc(reference: Reference, score: ArrayLike<number>, level = 0.95): Estimate {
  const { labels, scores } = checked(reference, score);
  const m = labels.filter(Boolean).length;
  const n = labels.length - m;
  const sample = new Sample(labels.length, m, level);
  if (m === 0 || n === 0) {
    throw new MetricError(`AUROC needs both classes; got 0 ${m === 0 ? "positives" : "negatives"} of ${labels.length}`);
  }
  const { auc, variance } = delong(labels, scores, m, n);
  const se = variance ? Math.sqrt(variance) : null;
  const bySizes = sample.withBounds(auc, newcombe(auc, m, n, sample.z), se, "newcombe-5");
  if (se === null || auc <= 0 || auc >= 1) return bySizes;
  const bySpread = sample.logit(auc, se, "logit-delong");
  return Math.min(m, n) < SMALL_CLASS && width(bySizes) > width(bySpread) ? bySizes : bySpread;
}

/** Observed over expected events, with the interval on the log scale (Debray 2017 BMJ 356:i6460). */
export function observedToExpected(reference: Reference, score: ArrayLike<number>, level = 0.95): Estimate {
  const { labels, scores } = checked(reference, score, true);
  const events = labels.filter(Boolean).length;
  const sample = new Sample(labels.length, events, level);
  const expected = scores.reduce((sum, value) => sum + value, 0);
  if (events === 0 || expected === 0) return sample.notEstimable("no event observed or none expected", "log");
  const ratio = events / expected;
  const variance = (1 - events / labels.length) / events;
  if (variance === 0) return sample.withoutInterval(ratio, "log", null, "every case has the event: no interval");
  return sample.log(ratio, Math.sqrt(variance), "log");
}

interface Cases {
  readonly labels: readonly boolean[];
  readonly scores: readonly number[];
}

function checked(reference: Reference, score: ArrayLike<number>, probability = false): Cases {
  if (reference.length !== score.length || reference.length === 0) {
    throw new MetricError(
      `${counted(reference.length, "reference verdict")} for ${counted(score.length, "score")}; give one of each per case`,
    );
  }
  const verdicts = Array.from(reference, Number);
  const scores = Array.from(score);
  refuse(verdicts.filter((v) => v !== 0 && v !== 1).length, "reference verdict", "give 0 or 1");
  refuse(scores.filter((s) => typeof s !== "number" || !Number.isFinite(s)).length, "score", "give finite numbers");
  if (probability) refuse(scores.filter((s) => s < 0 || s > 1).length, "score", "give probabilities from 0 to 1");
  return { labels: verdicts.map((v) => v === 1), scores };
}

function refuse(count: number, noun: string, remedy: string): void {
  if (count > 0) throw new MetricError(`${counted(count, noun)} cannot be used; ${remedy}`);
}

/** Mann-Whitney area and DeLong's variance by placements; null where a class has one case. */
function delong(
  labels: readonly boolean[],
  scores: readonly number[],
  m: number,
  n: number,
): { auc: number; variance: number | null } {
  // Twice the placements are whole numbers; their sums are exact, so no digit cancels.
  const own = [BigInt(m), BigInt(n)] as const;
  let [won, wonSquared, lostSquared] = [0n, 0n, 0n];
  let [positivesBelow, negativesBelow] = [0, 0];
  for (const [pos, neg] of tied(labels, scores)) {
    const beats = BigInt(2 * negativesBelow + neg);
    const beaten = BigInt(2 * (m - positivesBelow) - pos);
    won += BigInt(pos) * beats;
    wonSquared += BigInt(pos) * beats ** 2n;
    lostSquared += BigInt(neg) * beaten ** 2n;
    positivesBelow += pos;
    negativesBelow += neg;
  }
  const auc = Number(won) / (2 * m * n);
  if (Math.min(m, n) < 2) return { auc, variance: null };
  const unit = Number(4n * own[0] ** 2n * own[1] ** 2n);
  const s10 = Number(own[0] * wonSquared - won ** 2n) / (unit * (m - 1));
  const s01 = Number(own[1] * lostSquared - won ** 2n) / (unit * (n - 1));
  return { auc, variance: s10 + s01 };
}

/** Positives and negatives at each distinct score, from the lowest up. */
function tied(labels: readonly boolean[], scores: readonly number[]): (readonly [number, number])[] {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  const groups: [number, number][] = [];
  let previous: number | undefined;
  for (const i of order) {
    if (scores[i] !== previous) groups.push([0, 0]);
    previous = scores[i];
    const group = groups[groups.length - 1];
    if (group) group[labels[i] ? 0 : 1] += 1;
  }
  return groups;
}

function newcombe(auc: number, m: number, n: number, z: number): readonly [number, number] {
  if (auc < 0.5) {
    const [lo, hi] = newcombe(1 - auc, n, m, z);
    return [1 - hi, 1 - lo];
  }
  const half = (m + n) / 2 - 1;
  const excess = (theta: number): number => {
    const spread = (z ** 2 * (1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta)))) / (m * n);
    // Divided by 1 - theta, because 1 is a root but not the bound.
    if (auc === 1) return 1 - theta - theta * spread;
    return (auc - theta) ** 2 - theta * (1 - theta) * spread;
  };
  return [root(excess, 0, auc), auc === 1 ? 1 : root(excess, auc, 1)];
}

/** Root between two points of opposite sign, by bisection to the last digit. */
function root(f: (x: number) => number, low: number, high: number): number {
  const isUpper = f(high) > 0;
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (f(middle) > 0 === isUpper) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

function width(estimate: Estimate): number {
  return (estimate.hi ?? 0) - (estimate.lo ?? 0);
}

/** Number of cases and events, and the level; builds the estimates that share them. */
class Sample {
  readonly z: number;

  constructor(
    readonly n: number,
    readonly events: number,
    readonly level: number,
  ) {
    if (!(level > 0 && level < 1)) {
      throw new MetricError("level must be strictly between 0 and 1, for example 0.95");
    }
    this.z = normalQuantile((1 + level) / 2);
  }

  notEstimable(reason: string, method: string): Estimate {
    return this.#estimate({ value: null, method, reason });
  }

  withoutInterval(value: number, method: string, se: number | null, reason: string): Estimate {
    return this.#estimate({ value, se, method, reason });
  }

  withBounds(value: number, [lo, hi]: readonly [number, number], se: number | null, method: string): Estimate {
    if (hi - lo <= 1e-12 * Math.max(Math.abs(lo), Math.abs(hi))) {
      return this.withoutInterval(value, method, null, NO_SPREAD);
    }
    return this.#estimate({ value, lo, hi, se, method });
  }

  log(value: number, seLog: number, method: string): Estimate {
    const factor = Math.exp(Math.min(this.z * seLog, 700));
    return this.withBounds(value, [value / factor, value * factor], value * seLog, method);
  }

  logit(value: number, se: number, method: string): Estimate {
    const half = (this.z * se) / (value * (1 - value));
    const centre = Math.log(value / (1 - value));
    return this.withBounds(value, [expit(centre - half), expit(centre + half)], se, method);
  }

  #estimate(given: Partial<Estimate> & { value: number | null; method: string }): Estimate {
    const empty = { lo: null, hi: null, se: null, reason: null };
    return { ...empty, level: this.level, n: this.n, n_events: this.events, ...given };
  }
}

function expit(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

// Coefficients of PPND16, lowest power first (Wichura 1988 Appl Stat 37:477, algorithm AS 241).
const CENTRE: readonly (readonly number[])[] = [
  [
    3.387132872796366608, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
    45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727,
  ],
  [
    1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077, 21213.794301586595867,
    39307.89580009271061, 28729.085735721942674, 5226.495278852854561,
  ],
];
const TAIL: readonly (readonly number[])[] = [
  [
    1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055, 3.64784832476320460504,
    1.27045825245236838258, 0.24178072517745061177, 0.0227238449892691845833, 7.7454501427834140764e-4,
  ],
  [
    1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455, 0.14810397642748007459,
    0.0151986665636164571966, 5.475938084995344946e-4, 1.05075007164441684324e-9,
  ],
];
const FAR_TAIL: readonly (readonly number[])[] = [
  [
    6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358, 0.29656057182850489123,
    0.026532189526576123093, 0.0012426609473880784386, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
  ],
  [
    1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525, 7.868691311456132591e-4,
    1.8463183175100546818e-5, 1.4215117583164458887e-7, 2.04426310338993978564e-15,
  ],
];

/** Quantile of the standard normal distribution. */
export function normalQuantile(p: number): number {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) return q * fraction(CENTRE, 0.180625 - q * q);
  const r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p));
  const size = r <= 5 ? fraction(TAIL, r - 1.6) : fraction(FAR_TAIL, r - 5);
  return q < 0 ? -size : size;
}

function fraction([above = [], below = []]: readonly (readonly number[])[], x: number): number {
  const at = (terms: readonly number[]): number => terms.reduceRight((sum, term) => sum * x + term, 0);
  return at(above) / at(below);
}
