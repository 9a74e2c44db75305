import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { failureAnswer, rendered, type Answer } from '../output.ts'
import { GetAhead } from './get-ahead.ts'
import { getTarget } from './get-file.ts'
import type { HelperReply, HelperRequest } from './helper-message.ts'
import { PushAhead } from './push-ahead.ts'
import { pushTarget } from './push-file.ts'
import { gotAnswer, pushedAnswer } from './words.ts'

/** What a helper can answer: work that is done, and a file that no store has. Everything else is the caller's to find out and to tell. */
export class Answers {
  readonly #runtime: Runtime
  readonly #signal: AbortSignal
  readonly #pushing = new Map<string, PushAhead>()
  readonly #getting = new Map<string, GetAhead>()

  constructor(runtime: Runtime, signal: AbortSignal) {
    this.#runtime = runtime
    this.#signal = signal
  }

  async to({ verb, source, words, json }: HelperRequest): Promise<HelperReply> {
    const [first = '', second = ''] = words
    try {
      const answer = verb === 'push' ? await this.#push(source, first) : await this.#get(source, first, second)
      return { exit: answer.exit, stdout: rendered(answer, json), stderr: '' }
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'WAL_MISSING') throw error
      const answer = failureAnswer(error)
      const text = rendered(answer, json)
      return { exit: answer.exit, stdout: json ? text : '', stderr: json ? '' : text }
    }
  }

  /** Resolves when what was begun ahead of its call has ended. */
  async ended(): Promise<void> {
    await Promise.all([...this.#pushing.values(), ...this.#getting.values()].map((each) => each.ended()))
  }

  async #push(source: string, file: string): Promise<Answer> {
    const pushing = found(this.#pushing, source, () => {
      return new PushAhead(pushTarget(this.#runtime, source || undefined), this.#signal)
    })
    return pushedAnswer(pushing, file, await pushing.push(file))
  }

  async #get(source: string, name: string, path: string): Promise<Answer> {
    const getting = found(this.#getting, source, () => {
      return new GetAhead(getTarget(this.#runtime, source || undefined), this.#signal)
    })
    return gotAnswer(getting.source, name, await getting.get(name, path))
  }
}

function found<T>(map: Map<string, T>, key: string, make: () => T): T {
  const there = map.get(key) ?? make()
  map.set(key, there)
  return there
}
