import type { Settings } from '@salvor/shared/ports/service'

/**
 * The settings as a command sees them: after a backup it looks at the stored bytes once more, and leaves the restore proof,
 * which may want as much disk again as the database, to the verifier or to `salvor verify`.
 */
export function gentleSettings(settings: Settings): Settings {
  const gentle = (level: 'checksum' | 'decode' | 'restore' | 'none') =>
    (level === 'none' ? 'none' : 'checksum') as typeof level
  const sources = new Map(
    [...settings.sources].map(([name, source]) => {
      const { full, incremental, replicas } = source.verify
      return [
        name,
        { ...source, verify: { full: gentle(full), incremental: gentle(incremental), replicas: gentle(replicas) } },
      ]
    }),
  )
  return { ...settings, sources }
}
