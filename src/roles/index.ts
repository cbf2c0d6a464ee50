/** The door of the house: what starts a process of Holdfast. */
export { buildGraphqlSchema } from './doors';
export { type Ground } from './house';
export { roleNames, type RoleName } from './roleNames';
export { seed, startRoles, type Running } from './roles';
