/** Forest plot as a table: one row a hospital, with its numbers; long ones show the visible rows only. */

import { scaleLinear, scaleLog } from "@visx/scale";
import type { ReactNode } from "react";
import { interval, number } from "../format.ts";
import type { Interval, Measure } from "../report.ts";
import { Table } from "./table.tsx";

interface Line {
  readonly site: string;
  readonly value: number | null;
  readonly ci: Interval;
  readonly n: number | string | null;
  readonly weight: number | null;
  readonly kind: "site" | "mean" | "prediction";
  readonly note?: string;
}

const WIDTH = 240;
const HEIGHT = 24;

interface Props {
  readonly measure: Measure;
  readonly name: string;
  /** A ratio is drawn on a log axis with its line at 1. */
  readonly isRatio?: boolean;
  readonly file: string;
}

export function Forest({ measure, name, isRatio = false, file }: Props): ReactNode {
  const lines = linesOf(measure);
  const { place, axis } = scaleOf(lines, isRatio);
  return (
    <section>
      <h3>{name}</h3>
      <p>
        {measure.value === null
          ? `Not pooled: ${measure.reason ?? "too few hospitals"}.`
          : `Mean over ${measure.k} hospitals ${number(measure.value)} (95% CI ${interval(measure.ci)}). ` +
            (measure.prediction
              ? `A new hospital: ${interval(measure.prediction)} (95% prediction interval).`
              : `A new hospital: ${measure.reason ?? "no prediction interval"}.`)}
      </p>
      <Table
        caption={`${name} by hospital`}
        file={file}
        rows={lines}
        id={(line) => `${line.kind} ${line.site}`}
        columns={[
          { name: "Hospital", value: (line) => line.site, wide: true, show: (line) => (line.kind === "site" ? line.site : <strong>{line.site}</strong>) },
          { name: "Cases", value: (line) => line.n, show: (line) => (line.kind === "site" ? number(line.n, 0) : ""), isNumber: true },
          { name: name, value: (line) => line.value, show: (line) => number(line.value), isNumber: true },
          { name: "Interval", value: (line) => interval(line.ci) },
          { name: "Weight, %", value: (line) => line.weight, show: (line) => number(line.weight, 1), isNumber: true },
          { name: axis, value: () => "", isDrawn: true, show: (line) => <Whisker line={line} place={place} isRatio={isRatio} /> },
          { name: "Note", value: (line) => line.note ?? "" },
        ]}
      />
    </section>
  );
}

function linesOf(measure: Measure): readonly Line[] {
  const left = new Map(measure.excluded.map((one) => [one.site, one.reason]));
  const known = new Set(measure.sites.map((site) => site.site));
  const lines: Line[] = measure.sites.map((site) => ({
    site: site.site,
    value: site.value,
    ci: site.lo === null || site.hi === null ? null : [site.lo, site.hi],
    n: site.n,
    weight: site.weight,
    kind: "site",
    note: left.has(site.site) ? `not pooled: ${left.get(site.site)}` : "",
  }));
  for (const [site, reason] of left) {
    if (!known.has(site)) lines.push({ site, value: null, ci: null, n: null, weight: null, kind: "site", note: `not pooled: ${reason}` });
  }
  if (measure.value !== null) {
    lines.push({ site: "Mean", value: measure.value, ci: measure.ci, n: null, weight: null, kind: "mean" });
  }
  if (measure.prediction) {
    lines.push({ site: "A new hospital (prediction)", value: null, ci: measure.prediction, n: null, weight: null, kind: "prediction" });
  }
  return lines;
}

interface Placed {
  readonly place: (value: number) => number;
  /** Name of the column: the ends of the axis. */
  readonly axis: string;
}

function scaleOf(lines: readonly Line[], isRatio: boolean): Placed {
  const values = lines.flatMap((line) => [...(line.ci ?? []), ...(line.value === null ? [] : [line.value])]);
  const range = [6, WIDTH - 6];
  if (isRatio) {
    const positive = [1, ...values.filter((value) => value > 0)];
    const domain = [Math.max(0.05, least(positive)), Math.min(20, most(positive))];
    const scale = scaleLog<number>({ domain, range, clamp: true });
    return { place: (value) => scale(Math.max(value, 0.01)), axis: `${ends(domain)}, log` };
  }
  const domain = [least([0.5, ...values]), most([1, ...values])];
  const scale = scaleLinear<number>({ domain, range, clamp: true });
  return { place: (value) => scale(value), axis: ends(domain) };
}

function ends(domain: readonly number[]): string {
  return `Plot, ${domain.map((end) => number(end, 2)).join(" to ")}`;
}

// Math.min(...values) has as many arguments as there are values; some engines limit them.
function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b));
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b));
}

function Whisker({ line, place, isRatio }: { readonly line: Line; readonly place: (value: number) => number; readonly isRatio: boolean }): ReactNode {
  const middle = HEIGHT / 2;
  const [lo, hi] = line.ci ?? [null, null];
  return (
    <svg className={`whisker ${line.kind}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      {isRatio && <line className="diagonal" x1={place(1)} x2={place(1)} y1={0} y2={HEIGHT} />}
      {lo !== null && <line className="interval" x1={place(lo)} x2={place(hi)} y1={middle} y2={middle} />}
      {line.value !== null && <rect className="point" x={place(line.value) - 4} y={middle - 4} width={8} height={8} />}
    </svg>
  );
}
