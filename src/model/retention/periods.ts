/**
 * The calendar periods a moment lies in, in one time zone: day, ISO 8601 week, month and year, as people write them.
 * Pure; summer time and the zone's history are the platform's (IANA data in Intl).
 */

export interface Periods {
  /** `2026-11-24` */
  readonly daily: string
  /** `2026-W48`; the year is the week's own (ISO 8601: a week belongs to the year of its Thursday). */
  readonly weekly: string
  /** `2026-11` */
  readonly monthly: string
  /** `2026` */
  readonly yearly: string
}

const formats = new Map<string, Intl.DateTimeFormat>()
const dayMs = 24 * 60 * 60 * 1000

/** Whether the platform knows the IANA name. */
export function isTimeZone(timeZone: string): boolean {
  try {
    formatOf(timeZone)
    return true
  } catch {
    return false
  }
}

/** Throws RangeError for a zone that `isTimeZone` refuses. */
export function periodsOf(at: Date, timeZone: string): Periods {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  )
  const year = (parts.get('year') ?? '').padStart(4, '0')
  const month = parts.get('month') ?? ''
  const day = parts.get('day') ?? ''
  return {
    daily: `${year}-${month}-${day}`,
    weekly: isoWeek(Date.UTC(Number(year), Number(month) - 1, Number(day))),
    monthly: `${year}-${month}`,
    yearly: year,
  }
}

/** `midnightMs`: of a calendar day, as if it were UTC. */
function isoWeek(midnightMs: number): string {
  const weekday = (new Date(midnightMs).getUTCDay() + 6) % 7
  const thursday = new Date(midnightMs + (3 - weekday) * dayMs)
  const year = thursday.getUTCFullYear()
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * dayMs))
  return `${String(year).padStart(4, '0')}-W${String(week).padStart(2, '0')}`
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  formats.set(timeZone, format)
  return format
}
