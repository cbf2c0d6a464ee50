export * from './events';
export * from './input';
export * from './jsonSchema';
export * from './money';
export * from './orderStatus';
export * from './rpc';
export * from './samples';
export * from './topology';
