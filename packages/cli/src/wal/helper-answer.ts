import { resolve } from 'node:path'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import type { Answer } from '../output.ts'
import { environmentLines, type HelperReply, type HelperRequest } from './helper-message.ts'
import type { WalOptions } from './source-of.ts'

/** What this call would ask a helper for. */
export function requestOf(
  verb: HelperRequest['verb'],
  words: readonly string[],
  { config, source = '', json }: WalOptions,
): HelperRequest {
  const [, main = ''] = process.argv
  return { main, config: resolve(config), verb, source, json, words, environment: environmentLines() }
}

/** A helper's reply as this command's answer; null: the command does the work, and tells what fails, itself. */
export function answerOf(reply: HelperReply | null, json: boolean): Answer | null {
  if (reply?.exit !== EXIT.done) return null
  const document = json ? (JSON.parse(reply.stdout) as object) : {}
  return { document, lines: json ? [] : reply.stdout.trimEnd().split('\n'), exit: EXIT.done }
}
