export * from './events';
export * from './input';
export * from './topology';
