import { stat } from 'node:fs/promises'
import type { EngineContext } from '@salvor/shared/ports/engine'

const EVERY_MS = 500

/** Tells how far a copy has come that somebody else writes, by the size of its file, until it is disposed of. */
export function tellGrowth({ progress }: EngineContext, path: string, total_bytes: number): Disposable {
  const tell = (done_bytes: number): void => progress({ phase: 'copy aside', done_bytes, total_bytes })
  tell(0)
  let isOver = false
  const timer = setInterval(() => {
    const told = stat(path).then(({ size }) => isOver || tell(Math.min(size, total_bytes)))
    told.catch(() => undefined)
  }, EVERY_MS)
  return {
    [Symbol.dispose]() {
      isOver = true
      clearInterval(timer)
    },
  }
}
