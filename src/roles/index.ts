/** The door of the house: what starts a process of Holdfast. */
export { buildGraphqlSchema } from './doors';
export { type Ground } from './house';
export { brokerPermissions, type BrokerPermissions } from './brokerPermissions';
export { databaseUsers, tablePrivileges, tablesOf, type DatabaseUser } from './privileges';
export { roleNames, type RoleName } from './roleNames';
export { seed, startRoles, type Running } from './roles';
