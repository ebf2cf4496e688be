/** One table as a drawing: a bar for each median, a whisker from the lowest to the highest, a line at the yardstick. */
import type { Table } from './results.ts'

const [labelWidth, barsWidth, rowHeight, top] = [280, 480, 30, 46]

export function chartOf({ title, yardstick, placings }: Table): string {
  const most = Math.max(...placings.map(({ ratio }) => ratio.highest))
  const x = (ratio: number): string => (labelWidth + (ratio / most) * barsWidth).toFixed(1)
  const rows = placings.map(({ name, ratio }, index) => {
    const y = top + index * rowHeight
    const middle = y + rowHeight / 2 - 4
    const fill = name.startsWith('coffre') ? '#1f6f54' : '#8a8f98'
    return `<text x="${labelWidth - 8}" y="${middle + 5}" text-anchor="end">${escaped(name)}</text>
<rect x="${labelWidth}" y="${y}" width="${((ratio.median / most) * barsWidth).toFixed(1)}" height="${rowHeight - 8}" fill="${fill}"/>
<path d="M${x(ratio.lowest)} ${middle}H${x(ratio.highest)}" stroke="#000" stroke-width="1.5"/>
<text x="${(Number(x(ratio.highest)) + 6).toFixed(1)}" y="${middle + 5}">${ratio.median.toFixed(2)}</text>`
  })
  const height = top + placings.length * rowHeight + 10
  const width = labelWidth + barsWidth + 60
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="13">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="18" font-weight="bold">${escaped(title)}</text>
<text x="10" y="36">Wall time in relation to ${escaped(yardstick)}: shorter is better</text>
${rows.join('\n')}
<path d="M${x(1)} ${top - 6}V${height - 8}" stroke="#b00" stroke-dasharray="4 3"/>
</svg>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
