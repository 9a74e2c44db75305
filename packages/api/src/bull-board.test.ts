import { fastify, type FastifyInstance } from 'fastify'
import { expect, test } from 'vitest'
import { bullBoard } from './bull-board.ts'

async function board(): Promise<FastifyInstance> {
  const server = fastify()
  await bullBoard(server, { queues: () => [], path: '/queues', token: 'first', random: () => 'session' })
  return server
}

test('without the token nothing is shown, and the token opens one browser once', async () => {
  const server = await board()
  expect((await server.inject('/queues')).statusCode).toBe(401)
  expect((await server.inject('/queues/api/queues')).statusCode).toBe(401)
  expect((await server.inject('/queues/enter/wrong')).statusCode).toBe(401)
  const entered = await server.inject('/queues/enter/first')
  expect(entered.statusCode).toBe(302)
  expect(entered.headers['set-cookie']).toMatch(/HttpOnly; SameSite=Strict/)
  expect((await server.inject('/queues/enter/first')).statusCode).toBe(401)
  const page = await server.inject({ url: '/queues', headers: { cookie: 'salvor_queues=session' } })
  expect(page.statusCode).toBe(200)
  expect(page.headers['content-security-policy']).toContain("font-src 'self'")
  await server.close()
})

test('every way to change a queue is refused, with a session too', async () => {
  const server = await board()
  await server.inject('/queues/enter/first')
  for (const [method, url] of [
    ['PUT', 'retry/failed'],
    ['PUT', 'pause'],
    ['PUT', 'clean/completed'],
    ['PUT', 'empty'],
  ] as const) {
    const answer = await server.inject({
      method,
      url: `/queues/api/queues/x/${url}`,
      headers: { cookie: 'salvor_queues=session' },
    })
    expect(answer.statusCode).toBe(405)
  }
  await server.close()
})
