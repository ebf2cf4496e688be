/** Numbers and tables as people read them. */
import { visibleLine } from './visible.ts'

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Decimal units, as disks and providers count: `412.3 MB`. */
export function formatBytes(sizeBytes: number): string {
  let value = sizeBytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`
}

/** Columns two spaces apart; the ones named are aligned to the right. */
export function formatTable(rows: readonly (readonly string[])[], right: readonly number[]): string {
  const shown = rows.map((row) => row.map((cell) => visibleLine(cell)))
  const widths: number[] = []
  for (const row of shown) {
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
  }
  return shown
    .map((row) =>
      row
        .map((cell, column) =>
          right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
