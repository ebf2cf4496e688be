/** docs/performance.md: every number in it is one that this run measured. */
import type { Placing, Results, Table } from './results.ts'

/** The request that coffre began with: a night's backup within this time. */
const wantedSeconds = 300

export function pageOf(results: Results): string {
  return `${[
    '# How fast it is',
    'Written by `npm run bench` from what it measured. Not edited by hand: run it again to have it for your machine.',
    facts(results.machine),
    `## Backups

Wall time is given in relation to \`pg_dump > /dev/null\` of the same round: the median of the rounds, and the lowest and the highest. In each round everybody runs once, in an order that turns. Every clock stops when what was written is on the disk or acknowledged by the S3 server, can be read again, and, for coffre, the manifest is committed. “Client” is processor time of everything the command started, “server” that of PostgreSQL; the S3 server's own is in neither. Memory is the peak of all the command's processes together, shared pages counted once, PostgreSQL apart.

![The first table as a drawing](performance.svg)`,
    ...results.backups.map(tableSection),
    `## Restores

coffre compares every row with what was backed up, and gathers statistics; the other way compares nothing, and gathers statistics too.`,
    tableSection(results.restores),
    growthSection(results),
    beyond(results),
    doubts,
  ].join('\n\n')}\n`
}

function facts(machine: Results['machine']): string {
  return ['| | |', '|---|---|', ...machine.map(([fact, value]) => `| ${fact} | ${value} |`)].join('\n')
}

function tableSection(table: Table): string {
  const head = ['|  | ratio | wall | client | server | memory | kept |', '|---|---|---|---|---|---|---|']
  const missing = table.missing.length === 0 ? '' : `\n\nNot installed here: ${table.missing.join('; ')}.`
  const plain =
    table.plainBytes === undefined ? '' : ` ${megabytes(table.plainBytes)} of rows and definitions as text.`
  return `### ${table.title}

${table.rounds} rounds.${plain}

${[...head, ...table.placings.map((one) => row(one, table))].join('\n')}${missing}${notes(table)}`
}

function row(one: Placing, { plainBytes }: Table): string {
  const { median, lowest, highest } = one.ratio
  const spread = one.runs > 1 ? ` (${lowest.toFixed(2)} to ${highest.toFixed(2)})` : ' (once)'
  const packed =
    plainBytes !== undefined && one.storedBytes > 0
      ? `, ${(plainBytes / one.storedBytes).toFixed(1)} to 1`
      : ''
  const kept = one.storedBytes > 0 ? `${megabytes(one.storedBytes)}${packed}` : ''
  return `| ${code(one.name)} | ${median.toFixed(2)}${spread} | ${seconds(one.wallSeconds)} | ${seconds(one.cpuSeconds)} | ${seconds(one.serverCpuSeconds)} | ${megabytes(one.peakBytes)} | ${kept} |`
}

function notes({ placings }: Table): string {
  return `\n\n${placings.map(({ name, what }) => `- ${code(name)}: ${what}.`).join('\n')}`
}

function growthSection({ growth, jobs }: Results): string {
  const rows = growth.map(({ what, plainBytes, backup, toS3, restore }) => {
    const share = ((100 * toS3.wallSeconds) / wantedSeconds).toFixed(1)
    return `| ${what} | ${megabytes(plainBytes)} | ${seconds(backup.wallSeconds)} | ${megabytes(backup.peakBytes)} | ${seconds(toS3.wallSeconds)} (${share} %) | ${megabytes(toS3.peakBytes)} | ${seconds(restore.wallSeconds)} | ${megabytes(restore.peakBytes)} |`
  })
  return `## As it grows

One run each, ${jobs} lanes. In brackets: of the five minutes a night that were asked for. Restores compare every row.

| data | as text | to a directory | memory | to S3 | memory | restored | memory |
|---|---|---|---|---|---|---|---|
${rows.join('\n')}`
}

/** A line through the smallest and the largest, drawn further; said to be that. */
function beyond({ growth }: Results): string {
  const [first, last] = [growth[0], growth.at(-1)]
  if (first === undefined || last === undefined || first === last) return ''
  const perByte = (last.toS3.wallSeconds - first.toS3.wallSeconds) / (last.plainBytes - first.plainBytes)
  const fixed = first.toS3.wallSeconds - perByte * first.plainBytes
  const inTime = (wantedSeconds - fixed) / perByte
  return `Not measured, but reckoned: a straight line through the smallest and the largest of these has ${fixed.toFixed(1)} s of beginning and end, and ${(1 / perByte / 1e6).toFixed(0)} MB a second to S3. If it stays straight, ${(inTime / 1e9).toFixed(0)} GB of text fit into five minutes on this machine. What can bend it: a database larger than the server's memory is read at its disk's speed; an upload at its line's speed; and with more lanes than cores nothing is gained, while with more cores it is the server's processes and the lanes that share them, one of each per lane, so that time falls with the number of cores until disk or line are the limit.`
}

const doubts = `## Doubts

- The data is made by a program, and compresses as it does because of that program. Text of people compresses by about three to one, photographs not at all, and only filler does by ten or more: look at your own \`ratio\` in \`coffre backup --json\`.
- Everything was read from memory: the server had read it before, and its cache is larger than the smaller data sets.
- Server, coffre, and the S3 server share the same cores, over local sockets without TLS. A network between them changes everything that is limited by it, for all contestants alike.
- pgBackRest copies the files of the whole server, indexes too, and not rows; restic keeps what it has kept before, which the first backup does not show. Their times stand here, the work is another.
- Machines are noisy: a difference smaller than the spread beside it is none.`

function code(name: string): string {
  return `\`${name.replaceAll('|', '\\|')}\``
}

function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} s`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
