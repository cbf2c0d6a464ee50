-- CreateEnum
CREATE TYPE "orders"."amendment_status" AS ENUM ('PENDING', 'APPLIED', 'REJECTED', 'OVERTAKEN');

-- AlterEnum
ALTER TYPE "inventory"."movement_kind" ADD VALUE 'AMEND' BEFORE 'RELEASE';

-- CreateTable
CREATE TABLE "orders"."amendments" (
    "order_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "status" "orders"."amendment_status" NOT NULL DEFAULT 'PENDING',
    "before" JSONB NOT NULL,
    "lines" JSONB NOT NULL,
    "reason_code" TEXT,
    "reason_message" TEXT,
    "reason_lines" JSONB,
    "correlation_id" TEXT NOT NULL,
    "requested_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "decided_at" TIMESTAMPTZ(3),
    "decide_before" TIMESTAMPTZ(3) NOT NULL,
    "watch_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "amendments_pkey" PRIMARY KEY ("order_id","number")
);

-- CreateTable
CREATE TABLE "inventory"."amendments" (
    "order_id" TEXT NOT NULL,
    "amendment" INTEGER NOT NULL,
    "answer" JSON NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "amendments_pkey" PRIMARY KEY ("order_id","amendment")
);

-- AlterTable
ALTER TABLE "inventory"."movements" ADD COLUMN "amendment" INTEGER NOT NULL DEFAULT 0;

-- CreateIndex
CREATE UNIQUE INDEX "one_movement_per_order_line_kind_and_amendment" ON "inventory"."movements"("order_id", "product_id", "kind", "amendment");

-- DropIndex
DROP INDEX "inventory"."one_movement_per_order_line_and_kind";

-- AddForeignKey
ALTER TABLE "orders"."amendments" ADD CONSTRAINT "amendments_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"."orders"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- Whatever the code does, an order has one amendment under way at most.
CREATE UNIQUE INDEX "one_amendment_under_way" ON "orders"."amendments" ("order_id") WHERE "status" = 'PENDING';

-- Only amendments that still wait are watched.
CREATE INDEX "amendments_watched" ON "orders"."amendments" ("watch_at") WHERE "status" = 'PENDING';

ALTER TABLE "orders"."amendments" ADD CONSTRAINT "decided_when_not_pending" CHECK (("status" = 'PENDING') = ("decided_at" IS NULL));
ALTER TABLE "orders"."amendments" ADD CONSTRAINT "rejected_has_a_reason" CHECK (("status" = 'REJECTED') = ("reason_code" IS NOT NULL));

-- An amendment moves a line once; what moves for no amendment counts as number 0.
ALTER TABLE "inventory"."movements" ADD CONSTRAINT "amendments_are_numbered" CHECK (("kind"::text = 'AMEND') = ("amendment" > 0));

-- The answer to an amendment is given once and stands.
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "inventory"."amendments" FOR EACH ROW EXECUTE FUNCTION "inventory"."refuse_change"();
