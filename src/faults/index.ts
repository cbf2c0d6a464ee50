export { armFailpoints, FailpointRefusal } from './arm';
export { failpoint, failpointAfterSending, failpoints, type FailpointName, type PassedName } from './failpoints';
