import { join } from 'node:path'
import { ChainOfBackups } from './chain.fixture.ts'

// A process of its own, so that its memory can be measured: does to a chain of backups what the test tells, step by step.

const [url, folder] = [process.argv[2], process.argv[3]]
let chain = new ChainOfBackups(url, folder)
const steps = {
  full: () => chain.full(),
  increment: () => chain.increment(),
  restore: () => chain.restore(join(folder, 'restored')),
  delta: () => chain.restore(join(folder, 'restored'), { delta: 'same' }),
  merge: async () => void (chain = await chain.merged()),
  'restore merged': () => chain.restore(join(folder, 'merged')),
}

async function perform(step: keyof typeof steps): Promise<void> {
  const began = performance.now()
  await steps[step]()
  const seconds = Math.round((performance.now() - began) / 100) / 10
  process.send!({ step, seconds, peak_mb: Math.round(process.resourceUsage().maxRSS / 1024) })
}

process.on('message', (step: keyof typeof steps) => void perform(step))
