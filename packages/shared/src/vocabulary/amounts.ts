const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** `100GB`, in the form of `ByteSize`, as a number of bytes. RangeError for anything else. */
export function bytesOf(size: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s?(\w+)$/.exec(size) ?? []
  const factor = BYTES[unit]
  if (factor === undefined) throw new RangeError(`not a size: ${size}`)
  return Math.floor(Number(amount) * factor)
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/** Milliseconds of `30s`, `12h`, `7d`, `3w`; years have no fixed length: RangeError. */
export function durationMs(duration: string): number {
  const parts = /^(\d+)(ms|s|m|h|d|w)$/.exec(duration)
  if (!parts) throw new RangeError(`not a duration of fixed length: ${duration}`)
  return Number(parts[1]) * UNIT_MS[parts[2] as keyof typeof UNIT_MS]
}
