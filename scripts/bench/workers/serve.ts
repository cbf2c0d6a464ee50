/**
 * Answers what the bench asks of this process, one request at a time. It ends when the bench does, however that ended; a Ctrl-C at
 * the terminal, which reaches every process, is the bench's to act on.
 */
export function serve<Request, Reply>(answer: (request: Request) => Promise<Reply>): void {
  process.on('message', (request: Request) => {
    const tell = (told: Told<Reply>) => void process.send?.(told);
    answer(request).then(
      (reply) => tell({ reply }),
      (error: unknown) => tell({ fault: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.on('disconnect', () => process.exit());
  process.on('SIGINT', () => undefined);
}

/** What comes back over the wire between the two processes. */
export type Told<Reply> = { reply: Reply } | { fault: string };
