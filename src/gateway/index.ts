/** The door of the gateway: HTTP for every role; GraphQL and its playground, REST and gRPC for the gateway role. */
export { createAddressOf } from './addresses';
export { type Admission } from './admission';
export { contractRoutes } from './contract';
export { createGraphql, type GraphqlOptions } from './graphql';
export { errorCodes, type ErrorCode } from './graphqlErrors';
export { readDetails as readGrpcDetails } from './grpcDetails';
export { services as grpcServices, type GrpcServer, type GrpcServerOptions, startGrpcServer } from './grpcServer';
export { type HttpServer, type HttpServerOptions, type RouteHandler, type Routes, startHttpServer } from './httpServer';
export { createLiveDoor, type LiveDoor } from './live';
export { playgroundRoutes, type PlaygroundOptions } from './playground';
export { PortInUse } from './portInUse';
export { probeRoutes } from './probes';
export { RateLimits } from './rateLimits';
export { QueryTurns, runningCostOf } from './queryTurns';
export { ReadingTurns } from './readingTurns';
export { restRoutes, type RestOptions } from './rest';
