import { createMetrics } from '../../src/observability/metrics';

describe('metrics', () => {
  it('have the names that dashboards and alerts rely on', async () => {
    const { body } = await createMetrics({ version: '1.2.3', commit: 'abc' }).exposition();
    for (const name of [
      'http_request_duration_seconds',
      'holdfast_graphql_operation_duration_seconds',
      'holdfast_graphql_waiting',
      'holdfast_orders_decided_total',
      'holdfast_order_decision_duration_seconds',
      'holdfast_orders_pending',
      'holdfast_order_oldest_pending_seconds',
      'holdfast_outbox_pending',
      'holdfast_outbox_oldest_age_seconds',
      'holdfast_messages_processed_total',
      'holdfast_message_process_duration_seconds',
      'holdfast_messages_published_total',
      'holdfast_batch_size',
      'holdfast_queue_ready',
      'holdfast_dead_letters',
      'holdfast_stock_invariant_violations',
      'holdfast_build_info',
      'process_cpu_seconds_total',
    ]) {
      expect(body).toContain(`# TYPE ${name} `);
    }
    expect(body).toContain(`holdfast_build_info{version="1.2.3",commit="abc",node="${process.version}"} 1`);
  });

  it('are filled by collectors at the scrape', async () => {
    const metrics = createMetrics();
    let pending = 0;
    metrics.onCollect(() => Promise.resolve(metrics.ordersPending.set(++pending)));
    expect((await metrics.exposition()).body).toContain('holdfast_orders_pending 1');
    expect((await metrics.exposition()).body).toContain('holdfast_orders_pending 2');
  });

  it('are exposed although a collector fails, throws or never ends', async () => {
    const metrics = createMetrics({ collectLimitMs: 20 });
    metrics.onCollect(() => Promise.reject(new Error('database down')));
    metrics.onCollect(() => {
      throw new Error('broken');
    });
    metrics.onCollect(() => new Promise(() => {}));
    metrics.onCollect(() => Promise.resolve(metrics.ordersPending.set(7)));
    const { body } = await metrics.exposition();
    expect(body).toContain('holdfast_orders_pending 7');
    expect(body).toContain('holdfast_collector_failures_total 3');
  });

  it('run a collector once for scrapes that arrive together', async () => {
    const metrics = createMetrics();
    let runs = 0;
    metrics.onCollect(() => Promise.resolve(void runs++));
    await Promise.all([metrics.exposition(), metrics.exposition()]);
    expect(runs).toBe(1);
  });
});
