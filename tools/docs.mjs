// Writes docs/errors.md and docs/messages.md from the tables in packages/shared. `--check`: fails when they are not up to date.
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { CODES } from '../packages/shared/src/errors/codes.ts'
import { EVENTS } from '../packages/shared/src/messages/events.ts'
import { JOB_RULES, JOBS } from '../packages/shared/src/messages/jobs.ts'
import { SUBSCRIBERS } from '../packages/shared/src/messages/subscribers.ts'

const GENERATED = '<!-- Made by `npm run docs` from packages/shared; edit the tables there. -->\n'
const cell = (text) => text.replaceAll('|', '\\|')

function errors() {
  const rows = Object.entries(CODES).map(
    ([code, row]) =>
      `| \`${code}\` | ${cell(row.message)} | ${cell(row.hint)} | ${row.retryable ? 'yes' : 'no'} | ${row.exit} |`,
  )
  return `${GENERATED}
# Errors

Every failure has a code, says whether the same call may work later (Salvor then tries again by itself), and a hint that can
be typed or done. \`{words}\` in braces are filled in. With \`--json\` a failed command prints
\`{"error": {"code", "message", "hint", "retryable"}}\`.

| code | message | hint | retried | exit |
|---|---|---|---|---|
${rows.join('\n')}

## Exit codes
0 done · 1 failed · 2 usage: unknown source, backup or option, bad configuration · 3 part of the asked work is missing · 4 verification
failed · 5 objective breached · 75 try later · 130 interrupted.
`
}

function messages() {
  const fields = (schema) =>
    Object.keys(schema.shape)
      .map((name) => `\`${name}\``)
      .join(', ') || '(none)'
  const events = Object.entries(EVENTS).map(
    ([type, schema]) => `| \`${type}\` | ${fields(schema)} | ${SUBSCRIBERS[type].join(', ') || '(nobody yet)'} |`,
  )
  const jobs = Object.entries(JOBS).map(([job, schema]) => {
    const rule = JOB_RULES[job]
    return `| \`${job}\` | ${rule.service} | ${fields(schema)} | ${rule.max_failures} | ${rule.backoff_ms / 1000} s x 2^n | ${rule.concurrency} |`
  })
  return `${GENERATED}
# Messages

Services speak by events (what happened, past tense, any number of listeners) and jobs (what to do, one handler). Both lie in the
catalog; Redis carries ids only, \`{"event_id"}\` or \`{"run_id"}\`, and may be flushed at any moment. A state change and its event are
one transaction; so are a listener's effect and its mark that the event was handled, so a message that arrives twice does its work once.
Order is not promised: a handler reads the present rows.

The envelope has CloudEvents 1.0 names: \`id\` (uuidv7), \`type\`, \`source\` (the service), \`subject\`, \`time\`, \`data\`, \`correlationid\`
(one for a backup and all that follows from it), \`causationid\` (the event or run that led to it).

## Events
| type | data | heard by |
|---|---|---|
${events.join('\n')}

## Jobs
| job | service | parameters | failures until it waits for a person | wait between tries (an hour at most) | side by side in one process |
|---|---|---|---|---|---|
${jobs.join('\n')}
`
}

mkdirSync('docs', { recursive: true })
let stale = false
for (const [file, text] of [
  ['docs/errors.md', errors()],
  ['docs/messages.md', messages()],
]) {
  let present = ''
  try {
    present = readFileSync(file, 'utf8')
  } catch {}
  if (present === text) continue
  if (process.argv.includes('--check')) {
    console.error(`${file} is not up to date: npm run docs`)
    stale = true
  } else writeFileSync(file, text)
}
process.exitCode = stale ? 1 : 0
