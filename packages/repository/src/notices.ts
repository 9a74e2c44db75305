const MAX_NOTICES = 30
const MAX_LENGTH = 300
const CONTROL = /\p{Cc}/gu

/** As many notices as surely fit into a manifest: a database with many oddities must not lose its backup over them. */
export function clipNotices(notices: readonly string[]): string[] {
  const kept = notices.slice(0, MAX_NOTICES).map((notice) => clipText(notice))
  const left = notices.length - kept.length
  return left > 0 ? [...kept, `and ${left} more`] : kept
}

/** One line of a manifest: no control characters, of bounded length. */
export function clipText(text: string, length = MAX_LENGTH): string {
  const line = text.toWellFormed().replace(CONTROL, ' ')
  return line.length <= length ? line : `${line.slice(0, length - 1).toWellFormed()}…`
}
