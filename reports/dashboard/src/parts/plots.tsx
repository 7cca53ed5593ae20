/** Plots of released points: square axes from 0 to 1, each with its table behind it. */

import { AxisBottom, AxisLeft } from "@visx/axis";
import { scaleLinear } from "@visx/scale";
import { LinePath } from "@visx/shape";
import type { ReactNode } from "react";
import { interval, number } from "../format.ts";
import type { Bin, CurvePoint } from "../report.ts";
import { Table } from "./table.tsx";

const SIZE = 320;
const LEFT = 48;
const BOTTOM = 44;
const TOP = 8;

interface FrameProps {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly children: (x: (value: number) => number, y: (value: number) => number) => ReactNode;
}

function Frame({ title, x: xName, y: yName, children }: FrameProps): ReactNode {
  const x = scaleLinear<number>({ domain: [0, 1], range: [LEFT, SIZE - TOP] });
  const y = scaleLinear<number>({ domain: [0, 1], range: [SIZE - BOTTOM, TOP] });
  const ticks = { numTicks: 5, stroke: "currentColor", tickStroke: "currentColor", tickLabelProps: { className: "tick" }, labelProps: { className: "axis" } };
  return (
    <svg viewBox={`0 0 ${SIZE} ${SIZE}`} className="plot" role="img" aria-label={`${title}; the table has the numbers`}>
      <line className="diagonal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
      <AxisBottom top={SIZE - BOTTOM} scale={x} label={xName} labelOffset={12} {...ticks} />
      <AxisLeft left={LEFT} scale={y} label={yName} labelOffset={26} {...ticks} />
      {children(x, y)}
    </svg>
  );
}

/** ROC curve from released points; a bar is what rounding and noise leave open. */
export function Roc({ points, auc, bound }: { readonly points: readonly CurvePoint[]; readonly auc: number | null; readonly bound: number | null }): ReactNode {
  const text = auc === null ? "" : `, area ${number(auc)}${bound ? ` ± ${number(bound)} from the released bins` : ""}`;
  return (
    <figure>
      <figcaption>ROC of all hospitals together{text}</figcaption>
      <Frame title={`ROC curve${text}`} x="1 − specificity" y="sensitivity">
        {(x, y) => (
          <>
            {points.map((one) => (
              <g key={`${one.fpr} ${one.tpr}`} className="bounds">
                <line x1={x(one.fpr_bounds[0])} x2={x(one.fpr_bounds[1])} y1={y(one.tpr)} y2={y(one.tpr)} />
                <line x1={x(one.fpr)} x2={x(one.fpr)} y1={y(one.tpr_bounds[0])} y2={y(one.tpr_bounds[1])} />
              </g>
            ))}
            <LinePath className="curve" data={[...points]} x={(one) => x(one.fpr)} y={(one) => y(one.tpr)} />
          </>
        )}
      </Frame>
      <details>
        <summary>Table of the ROC curve</summary>
        <Table
          caption="Released points of the ROC curve"
          file="roc"
          rows={points}
          id={(one) => `${one.threshold} ${one.fpr} ${one.tpr}`}
          columns={[
            { name: "Threshold", value: (one) => one.threshold, isNumber: true },
            { name: "1 − specificity", value: (one) => one.fpr, show: (one) => number(one.fpr), isNumber: true },
            { name: "Sensitivity", value: (one) => one.tpr, show: (one) => number(one.tpr), isNumber: true },
          ]}
        />
      </details>
    </figure>
  );
}

/** Calibration: observed share by mean score of released bins, with intervals. */
export function Calibration({ bins }: { readonly bins: readonly Bin[] }): ReactNode {
  const drawn = bins.filter((bin) => bin.mean_score !== null && bin.observed !== null);
  return (
    <figure>
      <figcaption>Calibration in released bins of the score, with 95% intervals</figcaption>
      <Frame title="Calibration plot" x="mean score" y="observed share">
        {(x, y) =>
          drawn.map((bin) => (
            <g key={bin.low}>
              {bin.ci && <line className="interval" x1={x(bin.mean_score!)} x2={x(bin.mean_score!)} y1={y(bin.ci[0])} y2={y(bin.ci[1])} />}
              <circle className="point" cx={x(bin.mean_score!)} cy={y(bin.observed!)} r={4} />
            </g>
          ))
        }
      </Frame>
      <details>
        <summary>Table of the calibration plot</summary>
        <Table
          caption="Released bins of the score"
          file="calibration"
          rows={bins}
          id={(bin) => String(bin.low)}
          columns={[
            { name: "Score from", value: (bin) => bin.low, isNumber: true },
            { name: "to", value: (bin) => bin.high, isNumber: true },
            { name: "Cases", value: (bin) => bin.n, isNumber: true },
            { name: "Mean score", value: (bin) => bin.mean_score, show: (bin) => number(bin.mean_score), isNumber: true },
            { name: "Observed", value: (bin) => bin.observed, show: (bin) => number(bin.observed), isNumber: true },
            { name: "95% CI", value: (bin) => interval(bin.ci) },
          ]}
        />
      </details>
    </figure>
  );
}
