-- CreateEnum
CREATE TYPE "notifications"."channel" AS ENUM ('LOG', 'EMAIL', 'WEBHOOK');

-- CreateEnum
CREATE TYPE "notifications"."subscription_state" AS ENUM ('ACTIVE', 'PAUSED', 'DISABLED', 'REMOVED');

-- CreateEnum
CREATE TYPE "notifications"."delivery_state" AS ENUM ('WAITING', 'DELIVERED', 'DEAD');

-- CreateTable
CREATE TABLE "notifications"."subscriptions" (
    "id" UUID NOT NULL,
    "customer_id" TEXT NOT NULL,
    "channel" "notifications"."channel" NOT NULL,
    "target" TEXT NOT NULL,
    "secret" TEXT,
    "events" TEXT[],
    "state" "notifications"."subscription_state" NOT NULL DEFAULT 'ACTIVE',
    "disabled_because" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "subscriptions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "notifications"."deliveries" (
    "id" UUID NOT NULL,
    "subscription_id" UUID NOT NULL,
    "customer_id" TEXT NOT NULL,
    "event_id" UUID NOT NULL,
    "order_id" TEXT NOT NULL,
    "receiver" TEXT NOT NULL,
    "body" JSON NOT NULL,
    "correlation_id" TEXT NOT NULL,
    "state" "notifications"."delivery_state" NOT NULL DEFAULT 'WAITING',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "notifications"."delivery_attempts" (
    "delivery_id" UUID NOT NULL,
    "attempt" INTEGER NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "duration_ms" INTEGER NOT NULL,
    "status" INTEGER,
    "error" TEXT,
    "next_attempt_at" TIMESTAMPTZ(3),

    CONSTRAINT "delivery_attempts_pkey" PRIMARY KEY ("delivery_id","attempt")
);

-- CreateIndex
CREATE INDEX "subscriptions_customer_id_id_idx" ON "notifications"."subscriptions"("customer_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "deliveries_subscription_id_event_id_key" ON "notifications"."deliveries"("subscription_id", "event_id");

-- CreateIndex
CREATE INDEX "deliveries_subscription_id_id_idx" ON "notifications"."deliveries"("subscription_id", "id");

-- CreateIndex
CREATE INDEX "deliveries_order_id_id_idx" ON "notifications"."deliveries"("order_id", "id");

-- CreateIndex
CREATE INDEX "deliveries_customer_id_id_idx" ON "notifications"."deliveries"("customer_id", "id");

-- CreateIndex
CREATE INDEX "deliveries_state_id_idx" ON "notifications"."deliveries"("state", "id");

-- AddForeignKey
ALTER TABLE "notifications"."deliveries" ADD CONSTRAINT "deliveries_subscription_id_fkey" FOREIGN KEY ("subscription_id") REFERENCES "notifications"."subscriptions"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "notifications"."delivery_attempts" ADD CONSTRAINT "delivery_attempts_delivery_id_fkey" FOREIGN KEY ("delivery_id") REFERENCES "notifications"."deliveries"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- To set the same preference twice is to set it once; a removed one makes room for a new one.
CREATE UNIQUE INDEX "one_subscription_per_target" ON "notifications"."subscriptions" ("customer_id", "channel", "target") WHERE "state" <> 'REMOVED';

-- What is due is looked for all day, receiver by receiver; what is finished only by who prunes it.
CREATE INDEX "deliveries_waiting" ON "notifications"."deliveries" ("receiver", "due_at") WHERE "state" = 'WAITING';
CREATE INDEX "deliveries_finished" ON "notifications"."deliveries" ("finished_at") WHERE "state" <> 'WAITING';
CREATE INDEX "subscriptions_removed" ON "notifications"."subscriptions" ("updated_at") WHERE "state" = 'REMOVED';

-- Rows that wait are rewritten at every attempt: clean early, as the outbox is.
ALTER TABLE "notifications"."deliveries" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

ALTER TABLE "notifications"."subscriptions" ADD CONSTRAINT "signed_webhooks_only" CHECK (("secret" IS NOT NULL) = ("channel" = 'WEBHOOK' AND "state" <> 'REMOVED'));
ALTER TABLE "notifications"."subscriptions" ADD CONSTRAINT "disabled_for_a_reason" CHECK (("disabled_because" IS NOT NULL) = ("state" = 'DISABLED'));
ALTER TABLE "notifications"."subscriptions" ADD CONSTRAINT "nothing_personal_kept" CHECK ("state" <> 'REMOVED' OR "target" = '');
ALTER TABLE "notifications"."deliveries" ADD CONSTRAINT "finished_or_waiting" CHECK (("finished_at" IS NULL) = ("state" = 'WAITING'));
ALTER TABLE "notifications"."delivery_attempts" ADD CONSTRAINT "counted_from_one" CHECK ("attempt" >= 1 AND "duration_ms" >= 0);
