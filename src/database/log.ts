/** How this room speaks to its operator. It knows no logger, so the caller passes one in; without one it is silent. */
export type DatabaseLog = (level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>) => void;

export const silent: DatabaseLog = () => undefined;
