import type { Failure } from '@salvor/shared/vocabulary/run'

/** JSON text for a column; null stays SQL's null. */
export function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value)
}

export function fromJson(text: string | null): unknown {
  return text === null ? null : JSON.parse(text)
}

export function failureOf(text: string | null): Failure | null {
  return fromJson(text) as Failure | null
}

/** Text that both databases store and give back the same: PostgreSQL has no NUL, neither has lone surrogates. */
export function plain(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{fffd}')
}

/** First text after every text that begins with `prefix`, in byte order. */
export function afterPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`
}

/** A statement takes a bounded number of parameters: 32,766 on SQLite, 65,535 on PostgreSQL. */
export function pagesOf<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, page) => all.slice(page * size, (page + 1) * size))
}
