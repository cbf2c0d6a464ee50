/** The door of the accounts context: what the wiring needs, nothing more. */
export { createAccounts, type AccountsContext } from './context';
export { AccountResolver } from './resolvers';
