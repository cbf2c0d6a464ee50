/** Another program listens on the port that was asked for. */
export class PortInUse extends Error {
  readonly port: number;

  constructor(port: number, host: string, variable: string) {
    super(`Port ${port} on ${host} is in use: stop the program that holds it, or set ${variable} to a free port.`);
    this.name = 'PortInUse';
    this.port = port;
  }
}
