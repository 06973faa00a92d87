/** What the bench says of large numbers. */

import type { ScaleResult } from "./scale.ts";
import type { Table } from "./table.ts";

export function tabulateScale({ lines }: ScaleResult): Table {
  const rows = lines.map(({ what, few, many }) => [what, few, many]);
  return { title: "Large numbers", rows: [["", "few", "many"], ...rows] };
}
