import { basename } from 'node:path'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { bytes, done, type Answer } from '../output.ts'

/** What `wal push` says, whoever did the work. */
export function pushedAnswer(
  { source, store }: { readonly source: string; readonly store: string },
  file: string,
  { size_bytes, ahead }: { readonly size_bytes: number; readonly ahead: boolean },
): Answer {
  const name = basename(file)
  const line = `${source}  ${name} in ${store}, ${bytes(size_bytes)}${ahead ? ', ahead of its call' : ''}`
  return done({ source, store, name, size_bytes, ahead }, [line], EXIT.done)
}

/** What `wal get` says. */
export function gotAnswer(source: string, name: string, pieces: number): Answer {
  return done({ source, name, pieces }, [`${source}  ${name}`], EXIT.done)
}
