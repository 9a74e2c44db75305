export const SERVICES = ['scheduler', 'backup-worker', 'verifier', 'replicator', 'notifier'] as const
export type ServiceName = (typeof SERVICES)[number]
