import { setTimeout as sleep } from 'node:timers/promises'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { whereIs, type Address } from '../connect/address.ts'
import { openAt, serversOf } from '../connect/open-link.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import { loginFailure } from '../failures.ts'
import type { Exchange, Link } from '../protocol/link.ts'
import { TYPE } from '../protocol/messages.ts'
import { identity, serverFacts } from '../server-facts.ts'
import type { WalEnvironment } from './environment.ts'
import { isBusy, isGone, isUnusable, notStreamed } from './failures.ts'
import { standbyStatus } from './messages.ts'
import { assertBounded, dropSlot, ensureSlot, notPhysical } from './slot.ts'

export interface OtherHosts {
  readonly env: WalEnvironment
  /** The server that is streamed from: its slot moves by itself. */
  readonly streamed: Address
  readonly systemId: string
  /** Everything before it is in a store; null: that is not known yet. */
  stored(this: void): bigint | null
}

/**
 * Keeps a slot on every other host of the URL, and moves it on to what is stored: whichever of them is promoted has the WAL from
 * there. A replication connection does it, so REPLICATION is all it needs. What goes wrong with one host is said, and harms neither
 * the stream nor the other hosts. Ends by the signal; never rejects.
 */
export async function keepOtherSlots(hosts: OtherHosts, signal: AbortSignal): Promise<void> {
  const { env, streamed } = hosts
  try {
    const { addresses, passfile } = await serversOf(env)
    const others = addresses.filter(({ host, port }) => host !== streamed.host || port !== streamed.port)
    await Promise.all(others.map((address) => new OtherHost(hosts, address, passfile).keep(signal)))
  } catch (error) {
    // The service file went: the stream itself says that at its next connection.
    if (!signal.aborted) env.context.log.warn({ error: asSalvorError(error) }, 'slots on other hosts are not kept')
  }
}

class OtherHost {
  readonly #hosts: OtherHosts
  readonly #address: Address
  readonly #passfile: string | null
  #link: Link | null = null
  /** The slot was made by this link, and it is not known that the WAL that is wanted is there. */
  #fresh = false
  #physical = false
  #told = 0n
  #said: string | null = null

  constructor(hosts: OtherHosts, address: Address, passfile: string | null) {
    this.#hosts = hosts
    this.#address = address
    this.#passfile = passfile
  }

  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#round(signal)
        this.#say(null)
      } catch (error) {
        this.#link?.close()
        this.#link = null
        if (!signal.aborted) this.#say(loginFailure(error, this.#hosts.env.context.source, this.#address))
      }
      await sleep(this.#hosts.env.otherSlotsMs, undefined, { signal }).catch(() => undefined)
    }
    await this.#link?.[Symbol.asyncDispose]()
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { env, systemId, stored } = this.#hosts
    this.#link ??= await this.#open(signal)
    const to = stored()
    const here = await identity(this.#link, signal)
    if (here.systemId !== systemId)
      throw notStreamed(env.context.source, 'it is another cluster', 'name only servers of one cluster in the URL')
    // A standby that lags has not got there.
    const reached = to !== null && to < here.position ? to : here.position
    if (to === null || reached <= this.#told) return
    await this.#move(this.#link, reached, signal)
  }

  async #open(signal: AbortSignal): Promise<Link> {
    const { env } = this.#hosts
    const link = await openAt(env, this.#address, this.#passfile, 'replication', signal)
    try {
      assertBounded(await serverFacts(link, env.context.source, signal), env)
      const { created, physical } = await ensureSlot(link, env, env.slot, signal)
      this.#fresh = created
      this.#physical = physical
      this.#told = 0n
      return link
    } catch (error) {
      link.close()
      throw error
    }
  }

  async #move(link: Link, to: bigint, signal: AbortSignal): Promise<void> {
    const { env } = this.#hosts
    try {
      const command = `START_REPLICATION SLOT "${env.slot}" PHYSICAL ${lsnText(to)}`
      await link.run(command, new Acknowledgement(link, to), () => COMMAND_IDLE_MS, signal)
      this.#told = to
      this.#fresh = false
    } catch (error) {
      // The same server under another name: the stream has its slot.
      if (isBusy(error)) return
      if (!isGone(error)) throw error
      if (isUnusable(error) && !this.#physical) throw notPhysical(env.context.source, env.slot, error)
      // A new slot keeps what comes from now on: it serves once that is stored.
      if (this.#fresh) return
      await dropSlot(link, env.slot, signal)
      await ensureSlot(link, env, env.slot, signal)
      this.#fresh = true
    }
  }

  #say(error: unknown): void {
    const { env } = this.#hosts
    const said = error === null ? null : asSalvorError(error)
    if (said?.message === this.#said || (said === null && this.#said === null)) return
    this.#said = said?.message ?? null
    const facts = { source: env.context.source, host: whereIs(this.#address) }
    if (said === null) env.context.log.info(facts, 'the slot on another host of the source is kept again')
    else
      env.context.log.warn(
        { ...facts, error: said },
        'no slot is kept on another host: after a failover to it WAL may be missing',
      )
  }
}

/** Says once that everything up to a position is here, and ends the stream. */
class Acknowledgement implements Exchange {
  readonly #link: Link
  readonly #to: bigint

  constructor(link: Link, to: bigint) {
    this.#link = link
    this.#to = to
  }

  message(type: number): void {
    if (type !== TYPE.copyBoth) return
    this.#link.sendCopy(standbyStatus(this.#to, this.#to, false))
    this.#link.endCopy()
  }
  copyData(): undefined {
    return undefined
  }
}
