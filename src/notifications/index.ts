/** The door of the notifications context: what the wiring needs, nothing more. */
export { createNotifications, type NotificationsContext, type NotificationsOptions } from './context';
export { NotificationResolver } from './resolvers';
