-- Whose token was shown, beside the name that was typed; null for what was done before it was noted.
-- AlterTable
ALTER TABLE "operations"."dead_letter_actions" ADD COLUMN "caller" TEXT;
