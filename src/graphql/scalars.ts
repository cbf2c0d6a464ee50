import { GraphQLDateTimeISO, GraphQLSafeInt } from 'graphql-scalars';

/** A moment, in ISO 8601 with its zone. */
export const Timestamp = GraphQLDateTimeISO;

/** A whole number beyond the 32 bits of Int, within what a JSON number holds exactly. */
export const SafeInt = GraphQLSafeInt;
