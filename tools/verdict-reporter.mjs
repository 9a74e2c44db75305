import { mkdirSync, writeFileSync } from 'node:fs'

/** Ends a test run with what could not be run here and why, and leaves the counts for .ci/run. Nothing skipped counts as passed. */
export default class VerdictReporter {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: errors.length, skipped: 0 }
    const reasons = new Map()
    for (const module of modules) {
      if (module.state() === 'failed' && module.errors().length > 0) count.failed += 1
      for (const test of module.children.allTests()) {
        const { state, note, errors: told } = test.result()
        if (test.diagnostic()?.flaky) {
          const why = (told ?? []).map(({ message, stacks }) => `${message} (line ${stacks?.[0]?.line ?? 'unknown'})`)
          console.log(
            `passed only when it was run again: ${module.relativeModuleId}: ${test.fullName}: ${why.join('; ')}`,
          )
        }
        if (state === 'pending' || state === 'skipped') {
          count.skipped += 1
          const reason = note ?? 'skipped by its file'
          reasons.set(reason, [...(reasons.get(reason) ?? []), `${module.relativeModuleId}: ${test.fullName}`])
        } else count[state] += 1
      }
    }
    for (const [reason, tests] of reasons) {
      console.log(`not run here (${reason}): ${tests.length} tests, first ${tests[0]}`)
    }
    mkdirSync('.cache', { recursive: true })
    writeFileSync('.cache/test-counts', `${count.passed} ${count.failed} ${count.skipped}\n`)
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
  }
}
