export { backupWorker } from './service.ts'
