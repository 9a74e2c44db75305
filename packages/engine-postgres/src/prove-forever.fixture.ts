import { engineOf, never } from './engine.fixture.ts'

// A process of its own that proves the copy in argv[4] with a check that does not end, until it is killed.

const [, , url = '', folder = '', restored = ''] = process.argv
await engineOf(url, folder).prove(restored, ['SELECT pg_sleep(600) IS NULL'], {}, never)
