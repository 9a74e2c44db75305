import { pino, type Logger } from 'pino'
import type { Log } from '@salvor/shared/ports/log'
import { createRedactor, type Redactor } from './redact.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogOptions {
  readonly level: LogLevel
  /** Secret values that may appear in no line; asked again after each reload. */
  readonly secrets: () => readonly string[]
  /** In every line: which service, which process. */
  readonly facts?: object
  /** Lines for a person instead of JSON. */
  readonly pretty?: boolean
  /** Takes whole lines; default: stderr, so that stdout stays a command's document. */
  readonly write?: (line: string) => void
}

/** A structured log on stderr. A line that cannot be written is dropped: a full disk must not stop a backup. */
export function createLog(options: LogOptions): Log {
  const redactor = createRedactor(options.secrets)
  const write = options.write ?? toStderr
  const pretty = options.pretty ?? (options.write === undefined && process.stderr.isTTY)
  const line = (json: string): void => write(pretty ? readable(redactor.line(json)) : redactor.line(json))
  const logger = pino(
    {
      level: options.level,
      base: redactor.facts(options.facts ?? {}),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    { write: line },
  )
  return new PinoLog(logger, redactor)
}

class PinoLog implements Log {
  readonly #logger: Logger
  readonly #redactor: Redactor

  constructor(logger: Logger, redactor: Redactor) {
    this.#logger = logger
    this.#redactor = redactor
  }
  debug(facts: object, message: string): void {
    this.#write('debug', facts, message)
  }
  info(facts: object, message: string): void {
    this.#write('info', facts, message)
  }
  warn(facts: object, message: string): void {
    this.#write('warn', facts, message)
  }
  error(facts: object, message: string): void {
    this.#write('error', facts, message)
  }
  child(facts: object): Log {
    return new PinoLog(this.#logger.child(this.#redactor.facts(plain(facts))), this.#redactor)
  }
  #write(level: LogLevel, facts: object, message: string): void {
    if (this.#logger.isLevelEnabled(level)) {
      this.#logger[level](this.#redactor.facts(plain(facts)), this.#redactor.text(message))
    }
  }
}

/** An error given alone is told under the key that readers look for. */
function plain(facts: object): object {
  return facts instanceof Error ? { error: facts } : facts
}

function toStderr(line: string): void {
  try {
    process.stderr.write(line)
  } catch {
    // Nowhere to say so.
  }
}

/** `09:30:01 WARN message  key=value`, on one line, for a terminal. */
function readable(json: string): string {
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(json) as Record<string, unknown>
  } catch {
    return json
  }
  const { level, time, message, ...facts } = entry
  const words = Object.entries(facts).map(([key, value]) => `${key}=${short(value)}`)
  const head = `${String(time).slice(11, 19)} ${String(level).toUpperCase().padEnd(5)} ${String(message)}`
  return `${[head, ...words].join('  ')}\n`
}

function short(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  const error = value as { code?: string; name?: string; message?: string; stack?: string } | null
  if (typeof error?.stack === 'string') return JSON.stringify(`${error.code ?? error.name}: ${error.message}`)
  return JSON.stringify(value)
}
