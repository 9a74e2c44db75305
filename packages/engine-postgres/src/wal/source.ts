import type { WalSource } from '@salvor/shared/ports/wal'
import { assemble } from '../recovery/assemble.ts'
import { describeFile } from './describe-file.ts'
import type { WalEnvironment } from './environment.ts'
import { streamWal } from './stream.ts'

export function walSource(env: WalEnvironment): WalSource {
  return {
    stream: (request, sink, signal) => streamWal(env, request, sink, signal),
    describe: (name, file) => describeFile(env.context.source, name, file),
    assemble,
  }
}
