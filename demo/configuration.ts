import type { Servers } from './servers.ts'

export interface Clinics {
  /** When each source is due, so that a schedule fires while one looks on; null: the schedule that one gets without asking. */
  readonly dueAt: Date | null
  readonly sqlitePath: string
  readonly sqliteChecks: readonly string[]
  readonly postgresChecks: readonly string[]
}

/** The salvor.yaml of the demo, as an operator would write it; secrets lie in files beside it. */
export function configuration(servers: Servers, clinics: Clinics): { yaml: string; secrets: Record<string, string> } {
  const { s3, azure, receiver } = servers
  const stores = [
    '  local: { kind: local, path: ./backups }',
    ...(s3
      ? [
          `  s3: { kind: s3, bucket: ${s3.bucket}, prefix: prod, region: ${s3.region}, endpoint: "${s3.endpoint}", path_style: true, access_key_id_file: ./secrets/s3-id, secret_access_key_file: ./secrets/s3-key }`,
        ]
      : []),
    ...(azure
      ? [`  azure: { kind: azure, container: ${azure.container}, connection_string_file: ./secrets/azure }`]
      : []),
  ]
  const source = (name: string, keys: readonly string[], checks: readonly string[], more = ''): string[] => [
    `  ${name}:`,
    ...keys.map((key) => `    ${key}`),
    ...(clinics.dueAt ? [`    schedule: { full: "${cronAt(clinics.dueAt)}"${more} }`] : []),
    '    checks:',
    ...checks.map((check) => `      - "${check}"`),
  ]
  const yaml = [
    'data_dir: ./salvor-data',
    `redis: { url: ${servers.redisUrl} }`,
    'stores:',
    ...stores,
    'encryption: { keyring_file: ./secrets/salvor-keys.json }',
    'sources:',
    ...source('desk', ['engine: sqlite', `path: ${clinics.sqlitePath}`], clinics.sqliteChecks),
    ...source(
      'clinic',
      ['engine: postgres', 'url_file: ./secrets/clinic-url'],
      clinics.postgresChecks,
      ', wal: stream',
    ),
    'notify:',
    '  slack: { kind: slack, url_file: ./secrets/slack }',
    `  pagerduty: { kind: pagerduty, routing_key_file: ./secrets/pagerduty, endpoint: "${receiver.pagerDutyUrl}" }`,
    '',
  ].join('\n')
  const secrets = {
    'clinic-url': servers.postgres.url,
    slack: receiver.slackUrl,
    pagerduty: receiver.routingKey,
    ...(s3 ? { 's3-id': s3.access_key_id, 's3-key': s3.secret_access_key } : {}),
    ...(azure ? { azure: azure.connection_string } : {}),
  }
  return { yaml, secrets }
}

/** A cron expression with seconds that fires once, at this instant. */
function cronAt(at: Date): string {
  return `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} ${at.getUTCDate()} ${at.getUTCMonth() + 1} *`
}
