-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "operations";

-- CreateEnum
CREATE TYPE "operations"."dead_letter_state" AS ENUM ('WAITING', 'REPLAYED', 'DISCARDED');

-- CreateEnum
CREATE TYPE "operations"."dead_letter_action_kind" AS ENUM ('REPLAY', 'DISCARD');

-- CreateTable
CREATE TABLE "operations"."dead_letters" (
    "id" UUID NOT NULL,
    "queue" TEXT NOT NULL,
    "exchange" TEXT NOT NULL,
    "routing_key" TEXT NOT NULL,
    "message_id" TEXT,
    "type" TEXT,
    "correlation_id" TEXT,
    "aggregate_id" TEXT,
    "body" BYTEA NOT NULL,
    "body_size" INTEGER NOT NULL,
    "body_digest" TEXT NOT NULL,
    "properties" JSON NOT NULL,
    "reason" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "death_id" TEXT,
    "times_died" INTEGER NOT NULL DEFAULT 1,
    "died_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "state" "operations"."dead_letter_state" NOT NULL DEFAULT 'WAITING',
    "replay_id" UUID,
    "replaying_until" TIMESTAMPTZ(3),
    "settled_by" TEXT,
    "settled_because" TEXT,
    "settled_at" TIMESTAMPTZ(3),

    CONSTRAINT "dead_letters_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "operations"."dead_letter_actions" (
    "id" BIGSERIAL NOT NULL,
    "dead_letter_id" UUID NOT NULL,
    "action" "operations"."dead_letter_action_kind" NOT NULL,
    "actor" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "dead_letter_actions_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "dead_letters_queue_state_id_idx" ON "operations"."dead_letters"("queue", "state", "id");

-- CreateIndex
CREATE INDEX "dead_letters_queue_body_digest_idx" ON "operations"."dead_letters"("queue", "body_digest");

-- CreateIndex
CREATE INDEX "dead_letter_actions_dead_letter_id_id_idx" ON "operations"."dead_letter_actions"("dead_letter_id", "id");

-- AddForeignKey
ALTER TABLE "operations"."dead_letter_actions" ADD CONSTRAINT "dead_letter_actions_dead_letter_id_fkey" FOREIGN KEY ("dead_letter_id") REFERENCES "operations"."dead_letters"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- The last line of defence: whatever a keeper does, one message is one row. Without an id its death has to tell.
CREATE UNIQUE INDEX "one_dead_letter_per_message" ON "operations"."dead_letters" ("queue", "message_id", "body_digest") WHERE "message_id" IS NOT NULL;
CREATE UNIQUE INDEX "one_dead_letter_per_death" ON "operations"."dead_letters" ("queue", "death_id") WHERE "message_id" IS NULL;

-- What waits is asked for at every scrape; what is settled may be much more.
CREATE INDEX "dead_letters_waiting" ON "operations"."dead_letters" ("queue") WHERE "state" = 'WAITING';

ALTER TABLE "operations"."dead_letters" ADD CONSTRAINT "settled_by_somebody" CHECK (
  ("state" = 'WAITING') = ("settled_at" IS NULL) AND ("settled_at" IS NULL) = ("settled_by" IS NULL) AND ("settled_at" IS NULL) = ("settled_because" IS NULL)
);
ALTER TABLE "operations"."dead_letters" ADD CONSTRAINT "replayed_while_waiting" CHECK (
  ("replay_id" IS NULL) = ("replaying_until" IS NULL) AND ("replay_id" IS NULL OR "state" = 'WAITING')
);
ALTER TABLE "operations"."dead_letters" ADD CONSTRAINT "size_is_of_the_body" CHECK ("body_size" = octet_length("body"));
ALTER TABLE "operations"."dead_letters" ADD CONSTRAINT "died_at_least_once" CHECK ("times_died" >= 1 AND "attempt" >= 1);
ALTER TABLE "operations"."dead_letter_actions" ADD CONSTRAINT "somebody_for_a_reason" CHECK ("actor" <> '' AND "reason" <> '');

-- What was done is written once.
CREATE FUNCTION "operations"."refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "operations"."dead_letter_actions" FOR EACH ROW EXECUTE FUNCTION "operations"."refuse_change"();
