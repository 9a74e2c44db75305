/** This machine cannot run a real server. A test file skips visibly with `skipReason`, and is never counted as passed. */
export class NotPossibleHere extends Error {
  readonly skipReason: string

  constructor(skipReason: string) {
    super(skipReason)
    this.name = 'NotPossibleHere'
    this.skipReason = skipReason
  }
}

/** For the top of a test file: `describe.skipIf(skipReason)`; every other failure to start stays a failure. */
export async function orSkip<T>(
  start: Promise<T>,
): Promise<{ value: T; skipReason: '' } | { value: null; skipReason: string }> {
  try {
    return { value: await start, skipReason: '' }
  } catch (error) {
    if (!(error instanceof NotPossibleHere)) throw error
    process.stderr.write(`not run: ${error.skipReason}\n`)
    return { value: null, skipReason: error.skipReason }
  }
}
