export { replicator } from './service.ts'
