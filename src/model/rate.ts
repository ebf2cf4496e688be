/** Rates of transfer as people write them. */

const bytesOf: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
}

/** `500kB/s`, `50MB/s`, `1.5 MiB/s`. */
export const ratePattern = /^(0{0,5}[1-9]\d{0,5}(?:\.\d{1,3})?|0?\.\d{0,2}[1-9])\s?(kB|MB|GB|KiB|MiB|GiB)\/s$/

/** In bytes a second, more than none; undefined for what `ratePattern` does not know. */
export function parseRate(text: string): number | undefined {
  const [, number = '', unit = ''] = ratePattern.exec(text.trim()) ?? []
  const bytesPerSecond = Math.floor(Number(number) * (bytesOf[unit] ?? 0))
  return bytesPerSecond > 0 ? bytesPerSecond : undefined
}
