import type { z } from 'zod'

export type Severity = 'info' | 'warning' | 'error' | 'critical'

/** What a person is told, before a channel gives it a form. Texts are redacted and need no further context. */
export interface Notification {
  readonly event_id: string
  readonly event_type: string
  readonly severity: Severity
  /** One line: "Backup failed: clinic". */
  readonly title: string
  /** The cause and what to do, in a sentence or two; may be empty. */
  readonly text: string
  /** A command that can be typed, or null. */
  readonly hint: string | null
  /** Label and value pairs, most important first. */
  readonly fields: readonly { readonly label: string; readonly value: string }[]
  readonly time: string
  /** One condition that opens and resolves, `<source>/<condition>`; null: only information. */
  readonly incident: { readonly key: string; readonly change: 'open' | 'resolve' } | null
}

/** A place where a person is told. */
export interface Channel {
  readonly name: string
  /** False: this channel has nothing to say about such a notification (PagerDuty and plain information). */
  wants(notification: Notification): boolean
  /**
   * Resolves when the receiver took it. CHANNEL_THROTTLED (fact `seconds`) on 429, CHANNEL_FAILED on outages (retry),
   * CHANNEL_MISCONFIGURED when no retry can help.
   */
  send(notification: Notification, signal: AbortSignal): Promise<void>
}

/** What `packages/channel-<kind>/src/index.ts` exports as `adapter`. */
export interface ChannelAdapter<C = unknown> {
  readonly kind: string
  readonly schema: z.ZodType<C>
  readonly secrets: readonly string[]
  /** `install` names this installation in dedup keys: the catalog's id. */
  open(name: string, config: C, install: string): Channel
}
