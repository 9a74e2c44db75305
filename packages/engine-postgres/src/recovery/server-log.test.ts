import { expect, test } from 'vitest'
import { readRecoveryLog } from './server-log.ts'

test('what a server says of a recovery is read, whatever a restore point is called', () => {
  const text = `LOG:  starting point-in-time recovery to XID 743
LOG:  redo starts at 0/700028
LOG:  recovery stopping after commit of transaction 743, time 2026-11-26 19:52:32.6+00
LOG:  redo done at 0/800090 system usage: CPU: user: 0.00 s
LOG:  last completed transaction was at log time 2026-11-26 19:52:32.6+00
LOG:  selected new timeline ID: 12
LOG:  database system is ready to accept connections
`
  expect(readRecoveryLog(text)).toEqual({
    ready: true,
    paused: false,
    stopped: 'after commit of transaction 743, time 2026-11-26 19:52:32.6+00',
    xid: '743',
    lastCommitAt: '2026-11-26T19:52:32.600000Z',
    lsn: '0/800090',
    newTimeline: 12,
    fatal: null,
  })
  const named =
    'LOG:  recovery stopping at restore point "FATAL:  after commit of transaction 9", time 2026-11-26 19:52:32+00\n'
  expect(readRecoveryLog(`${named}LOG:  pausing at the end of recovery\n`)).toMatchObject({
    paused: true,
    ready: false,
    xid: null,
    fatal: null,
  })
})

test('a server that gave up, or waits for a person, did not reach its target', () => {
  const fatal = 'FATAL:  recovery ended before configured recovery target was reached'
  expect(readRecoveryLog(`LOG:  redo done at 0/800090\n${fatal}\n`).fatal).toBe(fatal.slice(8))
  const waits =
    'WARNING:  hot standby is not possible because of insufficient parameter settings\nLOG:  recovery has paused\n'
  expect(readRecoveryLog(waits).fatal).not.toBeNull()
})
