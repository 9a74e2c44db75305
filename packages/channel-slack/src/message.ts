import { epochMicros } from '@salvor/shared/vocabulary/instant'
import type { Notification, Severity } from '@salvor/shared/ports/channel'
import { plain, escaped } from './text.ts'

interface PlainText {
  type: 'plain_text'
  text: string
  emoji: boolean
}
interface Marked {
  type: 'mrkdwn'
  text: string
  /** No links and no names are made out of what stands in the text. */
  verbatim: true
}
export type SlackBlock =
  | { type: 'header'; text: PlainText }
  | { type: 'section'; text: PlainText | Marked }
  | { type: 'section'; fields: Marked[] }
  | { type: 'context'; elements: Marked[] }
/** What is posted. `text` is what phones and screen readers announce. */
export interface SlackMessage {
  text: string
  blocks: SlackBlock[]
}

/**
 * Slack refuses a header above 150, a section above 3000, more than ten fields in a section, and about 13,000 characters
 * altogether. These together stay below 11,000, so a message is cut but never refused.
 */
const LIMIT = { title: 150, text: 2800, hint: 600, label: 60, value: 320, fields: 16, perSection: 10, context: 300 }
const ICONS: Readonly<Record<Severity, string>> = { info: '✅', warning: '⚠️', error: '❌', critical: '🚨' }

/** Block Kit of a notification: title, cause, facts, the next command, and when it happened. */
export function slackMessage(notification: Notification): SlackMessage {
  const icon = notification.incident?.change === 'resolve' ? '✅' : ICONS[notification.severity]
  const title = `${icon} ${notification.title.trim() || notification.event_type}`
  const cause = notification.text.trim()
  const blocks: SlackBlock[] = [
    { type: 'header', text: { type: 'plain_text', text: plain(title, LIMIT.title), emoji: true } },
  ]
  // Plain text: a `*` or `_` in an error is shown as it is.
  if (cause)
    blocks.push({ type: 'section', text: { type: 'plain_text', text: plain(cause, LIMIT.text), emoji: false } })
  blocks.push(...factSections(notification.fields))
  if (notification.hint) {
    // A backtick would end the code span.
    const command = escaped(notification.hint.replaceAll('`', "'"), LIMIT.hint)
    blocks.push({ type: 'section', text: marked(`Next: \`${command}\``) })
  }
  blocks.push({ type: 'context', elements: contextOf(notification) })
  return { text: escaped(cause ? `${title} - ${cause}` : title, LIMIT.value), blocks }
}

function factSections(facts: Notification['fields']): SlackBlock[] {
  const fields = facts
    .slice(0, LIMIT.fields)
    .map(({ label, value }) =>
      marked(`*${escaped(label, LIMIT.label) || '-'}*\n${escaped(value.trim(), LIMIT.value) || '-'}`),
    )
  const sections: SlackBlock[] = []
  for (let at = 0; at < fields.length; at += LIMIT.perSection)
    sections.push({ type: 'section', fields: fields.slice(at, at + LIMIT.perSection) })
  return sections
}

function contextOf({ event_type, event_id, time, fields, incident }: Notification): Marked[] {
  const elements = [`${escaped(event_type, LIMIT.label)} · ${dateOf(time)}`, `event ${escaped(event_id, LIMIT.label)}`]
  if (incident)
    elements.push(
      `incident ${escaped(incident.key, LIMIT.context)} ${incident.change === 'open' ? 'is open' : 'is resolved'}`,
    )
  if (fields.length > LIMIT.fields) elements.push(`${fields.length - LIMIT.fields} more facts left out`)
  return elements.map(marked)
}

/** Shown in the reader's own time zone; where Slack cannot do that, in UTC. */
function dateOf(time: string): string {
  const fallback = `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`
  return `<!date^${epochMicros(time) / 1_000_000n}^{date_short_pretty} {time_secs}|${fallback}>`
}

function marked(text: string): Marked {
  return { type: 'mrkdwn', text, verbatim: true }
}
