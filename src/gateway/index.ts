/** The door of the gateway: HTTP for every role, GraphQL and its playground for the gateway role. */
export { createGraphql, type GraphqlOptions } from './graphql';
export { errorCodes, type ErrorCode } from './graphqlErrors';
export {
  type HttpServer,
  type HttpServerOptions,
  PortInUse,
  type RouteHandler,
  type Routes,
  startHttpServer,
} from './httpServer';
export { playgroundRoutes, type PlaygroundOptions } from './playground';
export { probeRoutes } from './probes';
export { restRoutes, type RestOptions } from './rest';
