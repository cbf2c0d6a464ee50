export * from './events';
export * from './input';
export * from './money';
export * from './orderStatus';
export * from './rpc';
export * from './topology';
