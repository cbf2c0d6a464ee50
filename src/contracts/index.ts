export * from './events';
export * from './input';
export * from './orderStatus';
export * from './topology';
