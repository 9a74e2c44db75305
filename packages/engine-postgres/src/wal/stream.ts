import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { WalResume, WalSink, WalStreamRequest } from '@salvor/shared/ports/wal'
import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import { openLink } from '../connect/open-link.ts'
import type { Link } from '../protocol/link.ts'
import { LinkLost, type ServerError } from '../protocol/server-error.ts'
import { identity, serverFacts, type ServerFacts } from '../server-facts.ts'
import { Contents } from './contents.ts'
import type { WalEnvironment } from './environment.ts'
import { WalExchange } from './exchange.ts'
import { isGone, isUnusable, notStreamed, streamFailure } from './failures.ts'
import { keepOtherSlots } from './other-hosts.ts'
import { WalReceiver, type Stretch } from './receiver.ts'
import { WalRecords } from './records.ts'
import { salvage, type Salvaged } from './salvage.ts'
import { segmentBytes } from './segment-bytes.ts'
import { assertBounded, dropSlot, ensureSlot, notPhysical, type Slot } from './slot.ts'
import { WalSpool } from './spool.ts'
import { storeHistory } from './timelines.ts'

/** The server answers within a second while it lives. */
const SILENT_MS = 60_000

interface Streaming {
  readonly env: WalEnvironment
  readonly request: WalStreamRequest
  readonly sink: WalSink
  readonly link: Link
  readonly facts: ServerFacts
  readonly segmentSize: number
  readonly signal: AbortSignal
}

/** Where the stream goes on. `from`: all before it is stored; `began`: where the WAL without a hole began. */
interface Place {
  readonly timeline: number
  readonly from: bigint
  readonly began: bigint
  /** The slot was made anew for it: when the server has no WAL from there either, that is no reason to try again at once. */
  readonly renewed?: true
}

/** Streams one server's WAL until it fails or is stopped. */
export async function streamWal(
  env: WalEnvironment,
  request: WalStreamRequest,
  sink: WalSink,
  signal: AbortSignal,
): Promise<never> {
  const { resume, left } = await salvage(env.context.source, request, sink, signal)
  // A synchronous standby is known to its primary by this name.
  const settings = env.synchronous ? { application_name: env.slot } : {}
  await using link = await openLink(env, 'replication', signal, settings)
  try {
    const facts = await serverFacts(link, env.context.source, signal)
    assertBounded(facts, env)
    if (left !== null && !(await comesAgain(link, left, signal))) throw left.error
    const segmentSize = segmentBytes(facts)
    const slot = await ensureSlot(link, env, env.slot, signal)
    await using others = otherHosts(env, link, facts, signal)
    const taken = { ...request, resume }
    const streaming: Streaming = { env, request: taken, sink: others.watch(sink), link, facts, segmentSize, signal }
    let place = await firstPlace(streaming, slot)
    for (;;) place = await followTimeline(streaming, place, slot)
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof SalvorError ? error : streamFailure(error, env.context.source, link.address)
  }
}

/** A tip that lies here and may be acknowledged is thrown away only where the server has it too. */
async function comesAgain(link: Link, left: NonNullable<Salvaged['left']>, signal: AbortSignal): Promise<boolean> {
  const { timeline, position } = await identity(link, signal)
  return timeline === left.timeline && position >= left.end
}

/** Slots on the other hosts follow what is stored, for as long as the stream lives. */
function otherHosts(env: WalEnvironment, { address }: Link, { systemId }: ServerFacts, signal: AbortSignal) {
  let stored: bigint | null = null
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const keeping = keepOtherSlots({ env, streamed: address, systemId, stored: () => stored }, both)
  const watch = (sink: WalSink): WalSink => ({
    store: (piece, content, within) => sink.store(piece, content, within),
    lost: (gap) => sink.lost(gap),
    progress(progress) {
      stored = lsnValue(progress.stored_lsn)
      sink.progress(progress)
    },
  })
  const end = async (): Promise<void> => {
    stop.abort(new LinkLost('the stream ended'))
    await keeping
  }
  return { watch, [Symbol.asyncDispose]: end }
}

async function firstPlace(streaming: Streaming, slot: Slot): Promise<Place> {
  const { request, facts, link, sink, signal, env } = streaming
  const { resume } = request
  const ancestors = await storeHistory(link, facts.timeline, sink, signal)
  if (resume === null) return firstEver(streaming, await fresh(streaming, slot))
  assertSameCluster(resume, facts, env.context.source)
  const from = lsnValue(resume.lsn)
  const here = { timeline: resume.timeline, from, began: from }
  if (resume.timeline === facts.timeline) return here
  const left = ancestors.find(({ timeline }) => timeline === resume.timeline)
  if (!left) {
    const reason = `timeline ${resume.timeline}, which was streamed, is not in the history of the server's timeline ${facts.timeline}`
    return afterGap(streaming, here, await fresh(streaming, slot), reason)
  }
  for (const { timeline } of ancestors) if (timeline > resume.timeline) await storeHistory(link, timeline, sink, signal)
  if (from <= left.end) return here
  // The promoted server forked off before the end of what was streamed: its own line goes on from the fork.
  const next = ancestors.find(({ timeline }) => timeline > resume.timeline)?.timeline ?? facts.timeline
  return { timeline: next, from: floor(left.end, streaming), began: from }
}

function assertSameCluster(resume: WalResume, facts: ServerFacts, source: string): void {
  const fix = `give the new server a source name of its own in the configuration`
  if (resume.system_id !== facts.systemId) {
    throw notStreamed(
      source,
      `it is another cluster than before (system identifier ${facts.systemId}, was ${resume.system_id})`,
      fix,
    )
  }
  if (resume.timeline > facts.timeline) {
    throw notStreamed(
      source,
      `the server was set back: it is on timeline ${facts.timeline}, was on ${resume.timeline}`,
      fix,
    )
  }
}

const floor = (position: bigint, { segmentSize }: Streaming): bigint => position - (position % BigInt(segmentSize))

/** Where the slot's own WAL begins; where the server does not tell that, the WAL that it writes now is there at least. */
async function fresh({ link, facts, segmentSize, signal }: Streaming, { restart }: Slot): Promise<Place> {
  const here = restart === null ? await identity(link, signal) : { timeline: facts.timeline, position: restart }
  const at = here.position - (here.position % BigInt(segmentSize))
  return { timeline: here.timeline, from: at, began: at }
}

/** A catalog that knows no WAL (a rebuilt one) begins with what lies in the spool: the slot may be ahead of it already. */
async function firstEver({ request, facts, segmentSize }: Streaming, place: Place): Promise<Place> {
  await using spool = await WalSpool.open(join(request.spool_dir, facts.systemId), segmentSize)
  const from = await spool.beginning(place.timeline, place.from)
  return { ...place, from, began: from }
}

async function afterGap({ sink, facts }: Streaming, lost: Place, next: Place, reason: string): Promise<Place> {
  await sink.lost({
    system_id: facts.systemId,
    timeline: lost.timeline,
    from_lsn: lsnText(lost.from),
    to_timeline: next.timeline,
    to_lsn: lsnText(next.from),
    reason,
  })
  return next
}

/** Streams one timeline to its end, and gives where the next goes on; or a new place, when the server lost what was asked for. */
async function followTimeline(streaming: Streaming, place: Place, slot: Slot): Promise<Place> {
  const { env, request, sink, link, facts, segmentSize, signal } = streaming
  const start = floor(place.from, streaming)
  await using spool = await WalSpool.open(join(request.spool_dir, facts.systemId), segmentSize)
  const left = await spool.takeUp(place.timeline, place.from)
  const at = left.length === 0 ? start : left.at(-1)! + BigInt(segmentSize)
  const stretch: Stretch = {
    systemId: facts.systemId,
    timeline: place.timeline,
    start: at,
    stored: place.from,
    began: place.began,
    known: request.resume !== null,
    standby: facts.standby,
  }
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  await using receiver = new WalReceiver({ env, link, spool, sink, stretch, signal: both, all: signal })
  try {
    for (const segment of left) receiver.addSegment(segment, await contentsOf(spool, place.timeline, segment))
    await spool.begin(place.timeline, at)
    const exchange = new WalExchange(link, receiver)
    const command = `START_REPLICATION SLOT "${env.slot}" PHYSICAL ${lsnText(at)} TIMELINE ${place.timeline}`
    try {
      await Promise.race([link.run(command, exchange, () => SILENT_MS, both), receiver.failed])
    } catch (error) {
      if (!isGone(error)) throw error
      // A slot that it is not known for is dropped only after the server has streamed from it.
      if (!slot.physical && !place.renewed && isUnusable(error)) throw notPhysical(env.context.source, env.slot, error)
      const from = receiver.position > place.from ? receiver.position : place.from
      if (place.renewed && from === place.from)
        throw new LinkLost(`the server removes WAL faster than it can be streamed: ${error.message}`)
      const next = await newSlot(streaming)
      await receiver.drain()
      return await beyondLoss(streaming, { ...place, from }, next, error)
    }
    if (exchange.next === null) throw new LinkLost('the server ended the stream')
    await receiver.drain()
    return await nextTimeline(streaming, exchange.next, place, receiver.position)
  } finally {
    stop.abort(new LinkLost('the stream ended'))
  }
}

async function contentsOf(spool: WalSpool, timeline: number, start: bigint) {
  const contents = new Contents()
  const records = new WalRecords(start, spool.segmentSize, contents)
  for await (const chunk of spool.read(timeline, start, start + BigInt(spool.segmentSize))) records.push(chunk)
  return contents.summary()
}

/** Made at once, also while no store takes what lies in the spool: without one the hole grows. */
async function newSlot(streaming: Streaming): Promise<Place> {
  const { link, env, signal } = streaming
  await dropSlot(link, env.slot, signal)
  return await fresh(streaming, await ensureSlot(link, env, env.slot, signal))
}

/** The server removed WAL that was not stored yet: a hole that everybody is told of, up to where the new slot begins. */
async function beyondLoss(
  streaming: Streaming,
  lost: Place,
  next: Place,
  { message: reason }: ServerError,
): Promise<Place> {
  if (next.timeline === lost.timeline && next.from <= lost.from) return { ...lost, renewed: true }
  return { ...(await afterGap(streaming, lost, next, reason)), renewed: true }
}

async function nextTimeline(
  streaming: Streaming,
  [timeline, position]: readonly (string | null)[],
  { timeline: former, began }: Place,
  reached: bigint,
): Promise<Place> {
  const { link, sink, signal } = streaming
  const next = Number(timeline)
  const at = lsnValue(position ?? '')
  if (!(next > former) || at > reached) throw new LinkLost('the server names an impossible next timeline')
  await storeHistory(link, next, sink, signal)
  return { timeline: next, from: floor(at, streaming), began }
}
