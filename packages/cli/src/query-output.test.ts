import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { stripVTControlCharacters } from 'node:util'
import type { QueryPart } from '@salvor/shared/ports/reading'
import { expect, test } from 'vitest'
import { collect, printTo, shown } from './query-output.ts'

async function* parts(...given: QueryPart[]): AsyncGenerator<QueryPart> {
  for (const part of given) yield await Promise.resolve(part)
}

async function printed(...given: QueryPart[]): Promise<string> {
  const out = new PassThrough()
  const all = text(out)
  await printTo(out, parts(...given))
  out.end()
  return stripVTControlCharacters(await all)
}

test('rows stand in the columns of the first ones, each statement under its names, also where it gave none', async () => {
  const rows = await printed(
    { columns: ['id', 'name'] },
    {
      rows: [
        [1, 'Amara'],
        [20, null],
      ],
    },
    { rows: [[3, 'Bo']] },
    { columns: ['nothing', 'here'] },
    { columns: ['sql'] },
    { rows: [['CREATE TABLE t (\n  x)']] },
  )
  const lines = ['id  name', '1   Amara', '20  NULL', '3   Bo', 'nothing  here', 'sql', 'CREATE TABLE t (', '  x)', '']
  expect(rows).toBe(lines.join('\n'))
})

test('whatever lies in a database, a terminal only shows it', () => {
  const escape = String.fromCodePoint(27)
  expect(shown(`${escape}[2Jgone\r\n\u202Eltr\u009b1m`)).toBe('\\u{1b}[2Jgone\\u{d}\\n\\u{202e}ltr\\u{9b}1m')
  expect(shown(`${escape}]0;x\n`, true)).toBe('\\u{1b}]0;x\n')
  expect(shown(Uint8Array.of(0, 255))).toBe("x'00ff'")
  expect(shown(9_007_199_254_740_993n)).toBe('9007199254740993')
})

test('a document has exact numbers and bytes, and a bound', async () => {
  const part = { rows: [[9_007_199_254_740_993n, Uint8Array.of(1), 'ä', null]] }
  expect(await collect(parts({ columns: ['a', 'b', 'c', 'd'] }, part), 'desk')).toEqual([
    { columns: ['a', 'b', 'c', 'd'], rows: [['9007199254740993', { base64: 'AQ==' }, 'ä', null]] },
  ])
  const many = { rows: Array.from({ length: 60_000 }, () => [1]) }
  await expect(collect(parts({ columns: ['a'] }, many, many), 'desk')).rejects.toMatchObject({ code: 'QUERY_FAILED' })
})
