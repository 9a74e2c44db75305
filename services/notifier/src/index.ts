export { notifier } from './service.ts'
