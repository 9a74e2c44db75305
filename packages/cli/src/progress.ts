import { SingleBar } from 'cli-progress'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { bytes } from './output.ts'

/** Shows how far long work is: a bar on a terminal, a line now and then elsewhere; always on stderr. */
export interface ProgressView extends Disposable {
  show(progress: RunProgress): void
}

/** Elsewhere than on a terminal a line says enough this often. */
const LINE_EVERY_MS = 5000

export function progressView(label: string, quiet: boolean, monotonicMs: () => number): ProgressView {
  if (quiet) return { show: () => {}, [Symbol.dispose]: () => {} }
  return process.stderr.isTTY ? bar(label) : lines(label, monotonicMs)
}

function bar(label: string): ProgressView {
  const format = `${label}  {phase} {bar} {percentage}%  {done} of {all}  {eta_formatted}`
  const view = new SingleBar({ format, hideCursor: true, clearOnComplete: true, stream: process.stderr, etaBuffer: 50 })
  let started = false
  return {
    show({ phase, done_bytes, total_bytes }) {
      const total = Math.max(total_bytes ?? done_bytes, done_bytes, 1)
      const facts = { phase, done: bytes(done_bytes), all: total_bytes === null ? '?' : bytes(total) }
      if (!started) view.start(total, done_bytes, facts)
      else {
        view.setTotal(total)
        view.update(done_bytes, facts)
      }
      started = true
    },
    [Symbol.dispose]: () => {
      if (started) view.stop()
    },
  }
}

function lines(label: string, monotonicMs: () => number): ProgressView {
  let last = { phase: '', at: monotonicMs() }
  return {
    show({ phase, done_bytes, total_bytes }) {
      const now = monotonicMs()
      if (phase === last.phase && now - last.at < LINE_EVERY_MS) return
      last = { phase, at: now }
      const of = total_bytes === null ? '' : ` of ${bytes(total_bytes)}`
      process.stderr.write(`${label}: ${phase} ${bytes(done_bytes)}${of}\n`)
    },
    [Symbol.dispose]: () => {},
  }
}
