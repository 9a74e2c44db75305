import type { Instant } from '../vocabulary/instant.ts'

/** Wall clock of this process. Decisions about due times use the catalog's clock instead. */
export interface Clock {
  now(): Instant
  /** Milliseconds that never run backwards, for durations. */
  monotonicMs(): number
}

/** Ids are uuidv7: ascending by creation, unique without coordination. */
export interface Ids {
  next(): string
}
