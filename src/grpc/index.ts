/** The words that every context's gRPC methods share, said once; the gateway serves them. */
export { GrpcRefusal, invalidArgument, type GrpcMethod, type GrpcRequest, type GrpcStatus, type Violation } from './method';
