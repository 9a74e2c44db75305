/** How pages are digested (docs/format.md section 15): told with every state, and the same along a chain. */
export interface Digesting {
  readonly algorithm: DigestAlgorithm
  readonly salt: Buffer
}

export type DigestAlgorithm = 'nh128' | 'sha256'

export const SALT_BYTES = 16

/** Null: one that is not known here. Absent means the one that came first, which had no name. */
export function algorithmOf(name: unknown): DigestAlgorithm | null {
  if (name === undefined) return 'sha256'
  return name === 'nh128' ? name : null
}
