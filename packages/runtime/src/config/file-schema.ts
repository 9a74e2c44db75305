import { z } from 'zod'

const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const

const Timezone = z.string().refine(isTimezone, 'not a time zone of the IANA list, such as UTC or Europe/Berlin')

/** A list, or words with commas between them: what a variable can hold. */
const Words = z.union([z.string().transform(commaWords), z.array(z.string())])

export const Route = z.strictObject({
  events: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('Event types, `backup.*` or `*`; absent: what a person should know'),
  severity: z.enum(SEVERITIES).optional().describe('Overrides the severity of the events'),
  to: z.array(z.string()).min(1).describe('Channels of this section'),
})

/** The sections that have one shape everywhere. Stores, sources and channels follow their kind. */
export const SECTIONS = {
  timezone: Timezone.default('UTC').describe('Time zone of schedules'),
  data_dir: z.string().min(1).default('./salvor-data').describe('Embedded catalog, keys made by Salvor itself, claims'),
  sandbox_dir: z.string().min(1).optional().describe('Where proofs restore to; default: `sandbox` in data_dir'),
  catalog: z
    .strictObject({ url: z.string().optional() })
    .prefault({})
    .describe('postgres:// for several machines; empty: embedded SQLite'),
  redis: z
    .strictObject({ url: z.string().optional() })
    .prefault({})
    .describe('Empty: none, or the one `salvor up` starts'),
  encryption: z
    .strictObject({ keyring_file: z.string().min(1) })
    .optional()
    .describe('Encrypts every artifact'),
  verifier: z
    .strictObject({ postgres_bin: z.array(z.string().min(1)).default([]) })
    .prefault({})
    .describe('Folders with PostgreSQL server programs, looked at first'),
  http: z
    .strictObject({ port: z.int().min(0).max(65_535).optional() })
    .prefault({})
    .describe('Health, metrics and console'),
  worker: z
    .strictObject({ pools: Words.default([]), threads: z.int().min(1).max(64).optional() })
    .prefault({})
    .describe('Pools whose sources this worker sees; compression threads of a run'),
} as const

/** Secrets of these sections: `<key>_file` works for them too. */
export const SECTION_SECRETS = { catalog: ['url'], redis: ['url'] } as const

export const TOP_KEYS: readonly string[] = [...Object.keys(SECTIONS), 'stores', 'sources', 'notify']

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

function commaWords(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
