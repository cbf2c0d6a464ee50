/** The door of transport security: which hosts must be spoken to in cipher, with which certificates, and what is wrong with theirs. */
export { certificateFault, readCertificates, type CertificateFiles, type Certificates } from './certificates';
export { isThisMachine, mayBePlain, plaintextRefusal } from './plaintext';
