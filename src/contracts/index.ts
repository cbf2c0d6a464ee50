export * from './events';
export * from './topology';
