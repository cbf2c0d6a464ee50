/** What a first visitor finds in the editor: an order, a look at what became of it, and the orders as they come. `{{key}}` becomes new with every page. */
export const playgroundTabs = [
  {
    query: `# Press Run. The answer is PENDING at once;
# stock is reserved through events a moment later.
# Pressed again, the same key gives the same order.
mutation PlaceOrder {
  createOrder(
    input: {
      customerId: "CUST-1"
      items: [{ sku: "MUG-BLUE", quantity: 2 }]
      idempotencyKey: "{{key}}"
    }
  ) {
    __typename
    ... on Order {
      id
      status
      items {
        productId
        quantity
      }
    }
    ... on ErrorResult {
      code
      message
    }
  }
}
`,
  },
  {
    query: `# What became of the newest orders.
query RecentOrders {
  orders(first: 5) {
    nodes {
      id
      status
      items {
        productId
        quantity
      }
      reason {
        code
        message
      }
      timeline {
        event
        toStatus
        at
      }
    }
  }
}
`,
  },
  {
    query: `# Press Run, then place an order in the first tab:
# each of its steps is shown here as it happens.
subscription FollowOrders {
  orderChanged {
    cursor
    step {
      event
      at
    }
    order {
      id
      status
    }
  }
}
`,
  },
] as const;
