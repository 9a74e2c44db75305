const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** For `mrkdwn`: Slack's three control characters become entities, and what is too long ends with `…`, never inside an entity or a character. */
export function escaped(text: string, limit: number): string {
  return cut(text, limit, (character) => ENTITIES[character] ?? character)
}

/** For `plain_text`: as it is, cut to size. */
export function plain(text: string, limit: number): string {
  return cut(text, limit, (character) => character)
}

function cut(text: string, limit: number, form: (character: string) => string): string {
  let whole = ''
  let short = ''
  for (const character of printable(text)) {
    whole += form(character)
    if (whole.length < limit) short = whole
    if (whole.length > limit) return `${short.trimEnd()}…`
  }
  return whole
}

/** Control characters have no place in a message; a line break stays one. */
function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n]/gu, ' ')
}
