import { type OrderMaker } from './orders';
import { type LoadRequest } from './requests';

/**
 * Writes the body of each request of a round by joining text. The idempotency key says when it was sent, in tenths of a
 * millisecond since 1970, so that the database can tell how long its decision took.
 */
export function requestBodies({ batch, tag }: LoadRequest, maker: OrderMaker): (index: number, sentAtMs: number) => string {
  const head = batch === 1 ? `{"query":${one},"variables":{"input":` : `{"query":${many},"variables":{"inputs":[`;
  const tail = batch === 1 ? '}}' : ']}}';
  return (index, sentAtMs) => {
    const sentAt = Math.round(sentAtMs * 10);
    let inputs = '';
    for (let place = 0; place < batch; place++) {
      const key = `${tag}.${index * batch + place}.${sentAt}`;
      inputs += `${place === 0 ? '' : ','}{"customerId":"${maker.customer()}","idempotencyKey":"${key}","items":${itemsOf(maker)}}`;
    }
    return head + inputs + tail;
  };
}

function itemsOf(maker: OrderMaker): string {
  const items = maker.lines().map(({ productId, quantity }) => `{"productId":${productId},"quantity":${quantity}}`);
  return `[${items.join(',')}]`;
}

/** What a shop asks for when it places an order. */
const selection = '{ ... on Order { id status version createdAt message } ... on ErrorResult { code message } }';
const one = JSON.stringify(`mutation ($input: CreateOrderInput!) { createOrder(input: $input) ${selection} }`);
const many = JSON.stringify(`mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) ${selection} }`);
