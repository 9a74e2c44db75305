import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { contentOf, engineOf, never } from '../engine.fixture.ts'

// A process of its own that lays the backup in argv[4] over the folder in argv[5], and is killed `later` ms after it gave byte `at`.

const [, , url = '', folder = '', file = '', target = '', facts = '{}', at = '0', later = '0'] = process.argv
const whole = contentOf(file, 64 * 1024)
const content: ArtifactContent = {
  ...whole,
  async *chunks(signal) {
    let given = 0
    for await (const chunk of whole.chunks(signal)) {
      yield chunk
      given += chunk.length
      if (given < Number(at)) continue
      if (later === '0') process.kill(process.pid, 'SIGKILL')
      else setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(later))
    }
  },
}
// The look at the manifest, at the end, comes first.
let looked = false
const twice = {
  ...content,
  chunks: (signal: AbortSignal) => (looked ? content : ((looked = true), whole)).chunks(signal),
}
const engine_facts = JSON.parse(facts) as SnapshotFacts['engine_facts']
await engineOf(url, folder).restore(twice, { target, in_place: false, delta: 'same', engine_facts }, never)
