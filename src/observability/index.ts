/** The door of the observability room: logs, metrics, health. */
export { withDeadline } from './deadline';
export { createHealth, type CheckResult, type Health, type HealthAnswer } from './health';
export { createLogger, type Logger } from './logger';
export { createMetrics, type Metrics } from './metrics';
export { redactUrl, hideSecrets, redacted } from './redact';
export { type RequestContext } from './requestContext';
export { Unavailable } from './unavailable';
