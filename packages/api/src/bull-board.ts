import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { Queue } from 'bullmq'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OneTimeToken } from './one-time-token.ts'

export interface BullBoardOptions {
  /** The queues as they are connected now; empty while Redis is away. Asked at each request. */
  readonly queues: () => readonly Queue[]
  /** Where it is mounted, `/queues`. */
  readonly path: string
  /** Opens the page once: `<path>/enter/<token>`. */
  readonly token: string
  readonly random: () => string
}

const COOKIE = 'salvor_queues'
const CLOSED = 'Open the address that the scheduler printed when it started; it opens one browser, once.\n'
/** The page asks for outside fonts; it reads well without, and nothing on it may leave this machine. */
const POLICY =
  "default-src 'self'; font-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"

/**
 * A read-only view of the queues for the operator who can read the start-up message. Bull Board has no login of its own:
 * it lies behind a one-time token and a session cookie, and every way to change a queue answers 405.
 */
export async function bullBoard(server: FastifyInstance, options: BullBoardOptions): Promise<void> {
  const gate = new OneTimeToken(options.token, options.random)
  const adapter = new FastifyAdapter()
  adapter.setBasePath(options.path)
  const board = createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Salvor queues' } },
  })
  let shown: readonly Queue[] = []
  const refresh = (): void => {
    const now = options.queues()
    if (now.length === shown.length && now.every((queue, index) => queue === shown[index])) return
    shown = now
    board.setQueues(now.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true, allowRetries: false })))
  }
  server.get<{ Params: { token: string } }>(`${options.path}/enter/:token`, (request, reply) =>
    enter(gate, options.path, request.params.token, reply),
  )
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      refresh()
      return guard(gate, request, reply)
    })
    await scope.register(adapter.registerPlugin(), { prefix: options.path })
  })
}

async function guard(gate: OneTimeToken, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  void reply.header('content-security-policy', POLICY)
  void reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer')
  // Retry and promote routes exist on read-only queues too, so every method that changes something is refused here.
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply.code(405).send({ error: 'read-only' })
  if (gate.admits(cookie(request.headers.cookie))) return undefined
  return reply.code(401).type('text/plain').send(CLOSED)
}

/** The token becomes a session, once. */
function enter(gate: OneTimeToken, path: string, token: string, reply: FastifyReply): FastifyReply {
  void reply.header('referrer-policy', 'no-referrer').header('cache-control', 'no-store')
  const session = gate.exchange(token)
  if (session === null) return reply.code(401).type('text/plain').send(CLOSED)
  return reply.header('set-cookie', `${COOKIE}=${session}; Path=${path}; HttpOnly; SameSite=Strict`).redirect(path, 302)
}

function cookie(header: string | undefined): string | undefined {
  const pair = header?.split(';').find((part) => part.trim().startsWith(`${COOKIE}=`))
  return pair?.trim().slice(COOKIE.length + 1)
}
