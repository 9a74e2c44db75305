/** The first line of a patch of digests (docs/format.md section 11). */
export interface PatchHead {
  /** Id of the backup on whose digests it stands. */
  readonly base: string
  /** `digests_sha256` of its manifest. */
  readonly base_sha256: string
  /** Length and SHA-256 of what it makes. */
  readonly bytes: number
  readonly sha256: string
}

const FORMAT = 'salvor-digests-patch'
const VERSION = 1
/** No first line of a patch is longer. */
export const PATCH_LINE_BYTES = 512

export function patchLine({ base, base_sha256, bytes, sha256 }: PatchHead): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, base, base_sha256, bytes, sha256 })}\n`
}

/** Digests that cannot be what their backup left. */
export class DigestsInvalid extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'DigestsInvalid'
  }
}

/** From the first bytes of digests; null: no patch, they are whole. DigestsInvalid. */
export function parsePatchHead(first: Buffer): { readonly head: PatchHead; readonly length: number } | null {
  const end = first.indexOf(0x0a)
  const line = end === -1 ? null : parsedLine(first.toString('utf8', 0, end))
  if (line?.['format'] !== FORMAT) return null
  if (line['version'] !== VERSION) throw new DigestsInvalid('a patch of digests of a newer form')
  const { base, base_sha256, bytes, sha256 } = line
  const isHead = [base, base_sha256, sha256].every((text) => typeof text === 'string') && Number.isSafeInteger(bytes)
  if (!isHead) throw new DigestsInvalid('a patch of digests without a head')
  const head = { base: String(base), base_sha256: String(base_sha256), bytes: Number(bytes), sha256: String(sha256) }
  return { head, length: end + 1 }
}

function parsedLine(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown> | null
  } catch {
    return null
  }
}

/** 7 bits a byte, the lowest first; the top bit says that more follow. */
export function asVarint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
