import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { InvalidArgumentError } from 'commander'

export function count(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('a whole number from 1 on')
  return number
}

export const several = (text: string, gathered: readonly string[] = []): string[] => [...gathered, text]

export interface PartOptions {
  readonly database?: readonly string[]
  readonly schema?: readonly string[]
  readonly table?: readonly string[]
}

export function partsOf({ database = [], schema = [], table = [] }: PartOptions) {
  const named = { databases: database, schemas: schema, tables: table }
  return Object.values(named).some((names) => names.length > 0) ? { parts: named } : {}
}

/** Gathers `OLD=NEW`: paths, in which only the first `=` divides. */
export function tablespace(text: string, gathered: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, old, place] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (old === undefined || place === undefined) throw new InvalidArgumentError('write OLD=NEW, two folders')
  if (Object.hasOwn(gathered, old)) throw new InvalidArgumentError(`${old} is named twice`)
  return { ...gathered, [old]: place }
}

export const missingTarget = (): SalvorError =>
  new SalvorError('USAGE', { reason: 'name a place after --to', command: 'restore' })

export function deltaOf(delta: boolean, otherCluster: boolean): { readonly delta?: 'same' | 'any' } {
  if (delta) return { delta: otherCluster ? 'any' : 'same' }
  if (otherCluster) throw new SalvorError('USAGE', { reason: '--other-cluster goes with --delta', command: 'restore' })
  return {}
}
