import { defaultFieldResolver, isObjectType, type GraphQLField, type GraphQLSchema } from 'graphql';
import { Extensions } from 'type-graphql';

import { demand, type Access } from '../identity';
import { type RequestContext } from '../observability';

/** Who may use this field; stands at every query, mutation and subscription, and at what shows more than what it is reached from. */
export function Allow(access: Access) {
  return Extensions({ access });
}

/** What was written at a field with `@Allow`. */
export function accessOf({ extensions }: Pick<AnyField, 'extensions'>): Access | undefined {
  return extensions['access'] as Access | undefined;
}

type AnyField = GraphQLField<unknown, RequestContext>;

/**
 * Puts the rules in front of the resolvers. Default deny: a query, mutation or subscription without a rule answers nobody. Other fields
 * without one go with the object that they belong to.
 */
export function guardSchema(schema: GraphQLSchema): GraphQLSchema {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields()) as AnyField[])
      if (roots.includes(type) || accessOf(field) !== undefined) guard(field);
  }
  return schema;
}

function guard(field: AnyField): void {
  const access = accessOf(field);
  const { resolve = defaultFieldResolver, subscribe } = field;
  field.resolve = (source, args, context, info) => {
    demand(access, context.caller);
    return resolve(source, args, context, info);
  };
  if (subscribe)
    field.subscribe = (source, args, context, info) => {
      demand(access, context.caller);
      return subscribe(source, args, context, info);
    };
}
