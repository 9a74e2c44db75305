import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** Removes secrets from what leaves this process as text. */
export interface Redactor {
  /** The text without known secrets, and without what looks like one (passwords in URLs, tokens, keys). */
  text(text: string): string
  /** A serialised line in which everything was cleaned already, once more without known secrets: nothing comes past this. */
  line(json: string): string
  /** A copy that can be logged: keys that name secrets are blanked at any depth, errors become plain facts. */
  facts(facts: object): Record<string, unknown>
}

const GONE = '[redacted]'
/** Shorter ones would blank half of every text, and are guessed at once anyhow. */
const MIN_SECRET = 4
const MAX_DEPTH = 8
const MAX_ITEMS = 200

/** Keys whose values are never shown, whatever they hold. */
const SECRET_KEY =
  /^pass$|passw|passphrase|secret|token|credential|authorization|cookie|private_?key|access_?key|account_?key|routing_?key|connection_?string|^(dsn|sig|key_?pem)$/i
/** Such keys that hold no secret: numbers, places and ids of public things. */
const HARMLESS_KEY = /_file$|_path$|fencing|resume/i

const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@"'<>]{0,256}:)[^\s"'<>]{1,1024}@/gi, `$1${GONE}@`],
  [/(https:\/\/hooks\.slack\.com\/)[^\s"'<>]+/gi, `$1${GONE}`],
  [
    /((?:AccountKey|SharedAccessSignature|password|passwd|pwd|PGPASSWORD)\s{0,3}=\s{0,3})(?:'[^']*'|"[^"]*"|[^\s;,&"']+)/gi,
    `$1${GONE}`,
  ],
  [
    /([?&](?:sig|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|AWSAccessKeyId|Signature|token)=)[^\s&"'<>]+/gi,
    `$1${GONE}`,
  ],
  [/((?:Authorization|Proxy-Authorization)"?\s{0,3}[:=]\s{0,3}"?)(?:[A-Za-z0-9-]+ )?[^\s"',]+/gi, `$1${GONE}`],
  [/(Bearer )[A-Za-z0-9._~+/=-]{8,}/g, `$1${GONE}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, GONE],
]

/** `secrets` is asked each time it is needed: a reload brings new ones, and those known before stay known. */
export function createRedactor(secrets: () => readonly string[]): Redactor {
  const known = new Set<string>()
  let seen: readonly string[] | null = null
  let inText: RegExp | null = null
  let inJson: RegExp | null = null
  const learn = (): void => {
    const now = secrets()
    if (now === seen) return
    seen = now
    for (const secret of now) if (secret.length >= MIN_SECRET) known.add(secret)
    inText = patternOf([...known].flatMap(formsInText))
    // A short word or a number may be part of the line's own syntax.
    inJson = patternOf([...known].filter((s) => s.length >= 8 && !/^\d+$/.test(s)).map(quoted))
  }
  const without = (text: string, pattern: RegExp | null): string => (pattern ? text.replace(pattern, GONE) : text)
  const text = (input: string): string => {
    learn()
    return SHAPES.reduce((rest, [shape, blank]) => rest.replace(shape, blank), without(input, inText))
  }
  const line = (json: string): string => {
    learn()
    return without(json, inJson)
  }
  return { text, line, facts: (facts) => copy(facts, text, 0, new Set()) as Record<string, unknown> }
}

/** How a secret turns up: as it is, in JSON, in a URL. */
function formsInText(secret: string): readonly string[] {
  const whole = secret.toWellFormed()
  return [secret, quoted(secret), encodeURI(whole), encodeURIComponent(whole)]
}

function quoted(secret: string): string {
  return JSON.stringify(secret).slice(1, -1)
}

function patternOf(forms: readonly string[]): RegExp | null {
  if (forms.length === 0) return null
  // Longest first: a secret that holds another must go as a whole.
  const longest = [...new Set(forms)].toSorted((a, b) => b.length - a.length)
  return new RegExp(longest.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g')
}

function copy(value: unknown, text: (text: string) => string, depth: number, above: Set<object>): unknown {
  if (typeof value === 'string') return text(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (above.has(value) || depth > MAX_DEPTH) return '[…]'
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return value.toISOString()
  above.add(value)
  const done = copyObject(value, text, (inner) => copy(inner, text, depth + 1, above))
  above.delete(value)
  return done
}

function copyObject(value: object, text: (text: string) => string, inner: (value: unknown) => unknown): unknown {
  if (value instanceof Error) return errorFacts(value, inner)
  if (Array.isArray(value) || value instanceof Set) return [...value].slice(0, MAX_ITEMS).map(inner)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const copied = entries.slice(0, MAX_ITEMS).map(([key, item]): [string, unknown] => {
    const secret = SECRET_KEY.test(String(key)) && !HARMLESS_KEY.test(String(key)) && typeof item !== 'number'
    return [text(String(key)), secret && item !== null && item !== undefined ? GONE : inner(item)]
  })
  return Object.fromEntries(copied)
}

/** What a person needs of an error. Other properties are left out: drivers put queries, rows and connections there. */
function errorFacts(error: Error, inner: (value: unknown) => unknown): Record<string, unknown> {
  const { code } = error as { code?: unknown }
  return {
    name: error.name,
    ...(typeof code === 'string' && { code }),
    message: inner(error.message),
    ...(error instanceof SalvorError && { hint: inner(error.hint) }),
    stack: inner(error.stack?.split('\n').slice(1, 13).join('\n') ?? ''),
    ...(error.cause !== undefined && { cause: inner(error.cause) }),
    ...(error instanceof AggregateError && { errors: error.errors.slice(0, 10).map(inner) }),
  }
}
