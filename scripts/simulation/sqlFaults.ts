/** An error as node-postgres reports it when the server names an SQLSTATE. */
export function sqlFault(sqlState: string): Error {
  return Object.assign(new Error(`simulated SQLSTATE ${sqlState}`), { code: sqlState, severity: 'ERROR' });
}

export const lostConnection = () => sqlFault('08006');
export const shuttingDown = () => sqlFault('57P01');
export const unreachable = () =>
  Object.assign(new Error('simulated: connection refused'), { code: 'ECONNREFUSED', syscall: 'connect' });
