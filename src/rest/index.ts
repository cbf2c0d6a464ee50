/** The words that every context's REST addresses share, said once; the gateway serves and describes them. */
export { type Endpoint, refusedInput, Refused, type RestAnswer, type RestRequest } from './endpoint';
