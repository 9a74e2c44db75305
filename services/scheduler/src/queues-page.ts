import { randomBytes } from 'node:crypto'
import { bullBoard } from '@salvor/api/bull-board'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import type { FastifyInstance } from 'fastify'

type Queues = Parameters<typeof bullBoard>[1]['queues']

const PATH = '/queues'

/** The read-only view of the queues; its address with the one-time token is said once, when the server listens. */
export const queuesPage: NonNullable<ServiceDefinition['http']> = async (server, deps) => {
  const fastify = server as FastifyInstance & { salvorQueues: Queues }
  const random = (): string => randomBytes(24).toString('base64url')
  const token = random()
  await bullBoard(fastify, { queues: () => fastify.salvorQueues(), path: PATH, token, random })
  fastify.addHook('onListen', async () => {
    const address = fastify.server.address()
    if (address === null || typeof address === 'string') return
    deps.log.info(
      { open_once: `http://127.0.0.1:${address.port}${PATH}/enter/${token}` },
      'the queues can be looked at',
    )
  })
}
