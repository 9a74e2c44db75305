import type { Clock, Ids } from '@salvor/shared/ports/clock'
import { instantOf } from '@salvor/shared/vocabulary/instant'
import { v7 } from 'uuid'

/** Beyond this the clock was set, or the machine slept: the new time counts. */
const JUMP_MICROS = 5_000n
/** A correction backwards up to here is waited out instead of shown. */
const HOLD_MICROS = 1_000_000n

/** The wall clock with microseconds. Follows the system's clock when it is set; small corrections never run it backwards. */
export function createClock(
  wallMs: () => number = Date.now,
  ticks: () => bigint = () => process.hrtime.bigint(),
): Clock {
  let anchorWall = BigInt(wallMs()) * 1000n
  let anchorTicks = ticks()
  let last = anchorWall
  return {
    now() {
      const seen = ticks()
      const wall = BigInt(wallMs()) * 1000n
      let micros = anchorWall + (seen - anchorTicks) / 1000n
      // The system tells whole milliseconds: the ticks between are ours, the rest is its own.
      if (micros < wall - JUMP_MICROS || micros > wall + JUMP_MICROS) {
        ;[anchorWall, anchorTicks, micros] = [wall, seen, wall]
      }
      if (micros < last && last - micros < HOLD_MICROS) micros = last
      last = micros
      return instantOf(micros)
    },
    monotonicMs: () => Number(ticks() - START) / 1e6,
  }
}

const START = process.hrtime.bigint()

export const systemClock: Clock = createClock()

/** uuidv7: ascending by creation within a process. */
export const systemIds: Ids = { next: () => v7() }
