import type { EngineAdapter } from '@salvor/shared/ports/engine'

/** What an engine can do with a source of some configuration, and how messages call such a source. */
export type AbleEngine = Pick<
  EngineAdapter,
  'kind' | 'artifact' | 'incremental_artifact' | 'streams' | 'types' | 'keeps_former'
> & {
  readonly called: string
}

/** What the engine can do with a source of this configuration. */
export function ableOf(adapter: EngineAdapter, config: unknown): AbleEngine {
  const { kind, artifact, incremental_artifact, streams, types, keeps_former } = adapter
  const limits = config === undefined ? null : (adapter.limits?.(config) ?? null)
  if (limits !== null) return { kind, artifact, ...limits }
  return {
    kind,
    artifact,
    types,
    called: kind,
    ...(incremental_artifact && { incremental_artifact }),
    ...(streams && { streams }),
    ...(keeps_former && { keeps_former }),
  }
}
