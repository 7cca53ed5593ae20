/** Tables: sorted by a column, filtered by text, as CSV, and only the visible rows in the page. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { type Cell, csv, download } from "../csv.ts";
import { usePrinting } from "./printing.ts";

/** One column: its name, its value for sorting and CSV, and how it is shown. */
export interface Column<Row> {
  readonly name: string;
  readonly value: (row: Row) => Cell;
  readonly show?: (row: Row) => ReactNode;
  readonly isNumber?: boolean;
  readonly wide?: boolean;
  /** A drawing or a button: not sorted, and not in the CSV. */
  readonly isDrawn?: boolean;
}

interface Props<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly id: (row: Row) => string;
  readonly file: string;
}

const ROW_PX = 40;
const FEW = 60;

export function Table<Row>(props: Props<Row>): ReactNode {
  const [sorting, setSorting] = useState<{ column: number; up: boolean } | null>(null);
  const [text, setText] = useState("");
  const rows = useMemo(() => shown(props, text, sorting), [props.rows, text, sorting]);
  const save = (): void => {
    const saved = props.columns.filter((column) => !column.isDrawn);
    const cells = rows.map((row) => saved.map((column) => column.value(row)));
    download(`${props.file}.csv`, csv(saved.map((column) => column.name), cells), "text/csv");
  };
  return (
    <div className="table">
      <div className="tools">
        {props.rows.length > 8 && (
          <label>
            Filter <input type="search" aria-label={`Filter: ${props.caption}`} value={text} onChange={(event) => setText(event.target.value)} />
          </label>
        )}
        <span role="status">
          {rows.length === props.rows.length ? "" : `${rows.length.toLocaleString("en")} of `}
          {props.rows.length.toLocaleString("en")} {props.rows.length === 1 ? "row" : "rows"}
        </span>
        <button onClick={save} aria-label={`Download CSV: ${props.caption}`}>
          Download CSV
        </button>
      </div>
      <Body {...props} rows={rows} sorting={sorting} onSort={setSorting} />
    </div>
  );
}

function shown<Row>(
  { rows, columns }: Props<Row>,
  text: string,
  sorting: { column: number; up: boolean } | null,
): readonly Row[] {
  const wanted = text.trim().toLowerCase();
  const found = wanted
    ? rows.filter((row) => columns.some((one) => String(one.value(row) ?? "").toLowerCase().includes(wanted)))
    : rows;
  const column = sorting && columns[sorting.column];
  if (!sorting || !column) return found;
  const sign = sorting.up ? 1 : -1;
  return [...found].sort((a, b) => sign * compared(column.value(a), column.value(b)));
}

function compared(a: Cell, b: Cell): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a ?? "").localeCompare(String(b ?? ""), "en", { numeric: true });
}

function Body<Row>(
  props: Props<Row> & {
    readonly sorting: { column: number; up: boolean } | null;
    readonly onSort: (sorting: { column: number; up: boolean }) => void;
  },
): ReactNode {
  const { rows, columns, sorting } = props;
  const box = useRef<HTMLDivElement>(null);
  const isPrinting = usePrinting();
  const isLong = rows.length > FEW && !isPrinting;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
    enabled: isLong,
  });
  const items = isLong ? virtual.getVirtualItems().map((item) => item.index) : rows.map((_, index) => index);
  const before = (items[0] ?? 0) * ROW_PX;
  const after = isLong ? (rows.length - 1 - (items.at(-1) ?? 0)) * ROW_PX : 0;
  return (
    <div ref={box} className={isLong ? "scroll long" : "scroll"} tabIndex={0} role="region" aria-label={props.caption}>
      <table aria-rowcount={rows.length + 1}>
        <caption>{props.caption}</caption>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column, index) => (
              <th
                key={column.name}
                scope="col"
                className={column.isNumber ? "number" : undefined}
                aria-sort={column.isDrawn ? undefined : sorting?.column === index ? (sorting.up ? "ascending" : "descending") : "none"}
              >
                {column.isDrawn ? (
                  column.name
                ) : (
                  <button
                    className="plain"
                    onClick={() => props.onSort({ column: index, up: sorting?.column === index ? !sorting.up : true })}
                  >
                    {column.name}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr aria-hidden="true" style={{ height: before }} />}
          {items.map((index) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <tr key={props.id(row)} aria-rowindex={index + 2} style={isLong ? { height: ROW_PX } : undefined}>
                {columns.map((column, place) => {
                  const Tag = place === 0 ? "th" : "td";
                  const names = [column.isNumber && "number", column.wide && "wide", isLong && "line"];
                  return (
                    <Tag key={column.name} scope={place === 0 ? "row" : undefined} className={names.filter(Boolean).join(" ")}>
                      {column.show ? column.show(row) : (column.value(row) ?? "–")}
                    </Tag>
                  );
                })}
              </tr>
            );
          })}
          {after > 0 && <tr aria-hidden="true" style={{ height: after }} />}
        </tbody>
      </table>
      {rows.length === 0 && <p className="state">No row fits the filter.</p>}
    </div>
  );
}
