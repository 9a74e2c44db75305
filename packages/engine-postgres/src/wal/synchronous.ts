import { isStandby, show } from '../connect/session.ts'
import type { Link } from '../protocol/link.ts'
import type { WalEnvironment } from './environment.ts'

/** By which a link of Salvor's is known that is no synchronous standby. */
const ANY_LINK = 'salvor'

/** Where the settings of a server and of the source do not fit: for people, empty where they do. */
export async function synchronousNotices(
  link: Link,
  { synchronous, slot }: Pick<WalEnvironment, 'synchronous' | 'slot'>,
  signal: AbortSignal,
): Promise<string[]> {
  const names = standbyNames(await show(link, 'synchronous_standby_names', signal))
  const isNamed = (name: string): boolean => names.includes(name) || names.includes('*')
  if (!synchronous) {
    if (!isNamed(ANY_LINK)) return []
    return [
      `synchronous_standby_names fits Salvor's stream too, which is not \`synchronous\`: commits may wait for seconds`,
    ]
  }
  if (await isStandby(link, signal)) {
    return [
      'wal.synchronous: the server is a standby, and commits wait for the standbys of a primary only: target_session_attrs=read-write',
    ]
  }
  const notices: string[] = []
  if (!isNamed(slot)) {
    notices.push(`wal.synchronous: no commit waits for Salvor: ALTER SYSTEM SET synchronous_standby_names = '${slot}'`)
  }
  const commit = await show(link, 'synchronous_commit', signal)
  if (commit === 'remote_apply') {
    notices.push(
      'wal.synchronous: synchronous_commit = remote_apply would wait for ever, since Salvor applies nothing: set it to on',
    )
  } else if (commit !== 'on') {
    notices.push(
      `wal.synchronous: synchronous_commit = ${commit} does not wait until a commit is durable here: set it to on`,
    )
  }
  return notices
}

/** `FIRST 2 (a, "B c")`, `ANY 1 (a, b)`, `a, b` or `*`, in lower case, as the server compares them. */
export function standbyNames(setting: string): readonly string[] {
  const list = /^\s*(?:(?:FIRST|ANY)?\s*\d+\s*\((.*)\))\s*$/is.exec(setting)?.[1] ?? setting
  const names = list.matchAll(/"((?:[^"]|"")*)"|[^\s,"]+/g)
  return [...names].map(([text, quoted]) => (quoted?.replaceAll('""', '"') ?? text).toLowerCase())
}
