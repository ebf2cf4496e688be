/** Lengths of time as people write and read them. */
/** `8 s`, `3 min 20 s`, `2 h 5 min`, `3 days`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return `${Math.floor(whole / 86_400)} days`
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** `90s`, `45m`, `26h`, `7d`, `2w`. */
export const durationPattern = /^(0{0,6}[1-9]\d{0,6})\s?([smhdw])$/

/** In seconds, more than none; undefined for what `durationPattern` does not know. */
export function parseDuration(text: string): number | undefined {
  const [, number = '', unit = ''] = durationPattern.exec(text.trim()) ?? []
  const seconds = Number(number) * (secondsOf[unit] ?? 0)
  return seconds > 0 ? seconds : undefined
}
