import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { holderAlive, thisHolder } from './holder.ts'

test('this process is alive', () => {
  const me = thisHolder('test')
  expect(me).toMatchObject({ service: 'test', pid: process.pid })
  expect(me.start_time).toMatch(/^\d+$/)
  expect(holderAlive(me)).toBe(true)
})

test('a process that ended is dead, also while nobody has collected it', async () => {
  // The shell becomes a program that waits for no child: this one stays behind as a zombie.
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(/\d+/.exec(String(line))![0])
  await expect.poll(() => holderAlive({ ...thisHolder('x'), pid, start_time: 'unknown' })).toBe(false)
  parent.kill('SIGKILL')
  await once(parent, 'exit')
  expect(holderAlive({ ...thisHolder('x'), pid: parent.pid!, start_time: 'unknown' })).toBe(false)
})

test('a pid that belongs to another process by now is dead', () => {
  expect(holderAlive({ ...thisHolder('x'), start_time: '1' })).toBe(false)
})

test('a holder from before the last start of this machine is dead', () => {
  expect(holderAlive({ ...thisHolder('x'), boot_id: '00000000-0000-0000-0000-000000000000' })).toBe(false)
})

test('of another machine, and of machines without a name, nobody here can know', () => {
  expect(holderAlive({ ...thisHolder('x'), host: 'elsewhere' })).toBeNull()
  expect(holderAlive({ ...thisHolder('x'), host: 'localhost', boot_id: 'b' })).toBeNull()
})
