-- CreateTable
CREATE TABLE "orders"."closings" (
    "order_id" TEXT NOT NULL,
    "closed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "watch_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "closings_pkey" PRIMARY KEY ("order_id")
);

-- CreateIndex
CREATE INDEX "closings_watch_at_idx" ON "orders"."closings"("watch_at");

-- AddForeignKey
ALTER TABLE "orders"."closings" ADD CONSTRAINT "closings_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"."orders"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- Fills and empties all day, as the outbox does: clean it early.
ALTER TABLE "orders"."closings" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
