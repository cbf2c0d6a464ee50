/** Who asks, how that is known, and who may do what: the same for every door. */
export { AccessDenied, accessRules, type Access, demand, demandOwn, ownerOf, TokenRefused } from './access';
export { roles, type Caller, type Role } from './caller';
export { developmentIdentity, developmentSecret, operatorToken } from './development';
export { createIdentity, type Identity } from './identity';
export { algorithms, identityProblems, identitySettings, type IdentitySettings } from './settings';
export { signToken } from './signToken';
