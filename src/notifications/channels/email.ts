import { createTransport, type Transporter } from 'nodemailer';
import { z } from 'zod';

import { decimalOf, type EventOf } from '../../contracts';
import { withDeadline, type Logger } from '../../observability';
import { mayBePlain } from '../../tls';
import { type Channel, type Outcome, type Parcel } from './channel';

export interface EmailOptions {
  /** `smtp://user:password@host:port`, or `smtps:`; without one the mail is written into the log, except in production. */
  smtpUrl?: string;
  /** Hosts elsewhere that may be spoken to unencrypted; all others must offer STARTTLS, or be `smtps:`. */
  plaintextHosts: readonly string[];
  from: string;
  timeoutMs: number;
  connectionsMax: number;
  production: boolean;
  log: Logger;
}

/** Sends the event as a mail in plain text. All of it leaves through one mail server, which is the receiver whose patience counts. */
export function createEmailChannel(options: EmailOptions): Channel {
  const { smtpUrl, production } = options;
  const transport = smtpUrl === undefined ? undefined : openTransport(smtpUrl, options);
  return {
    send: (parcel) => (transport ? mail(transport, parcel, options) : Promise.resolve(writeToLog(parcel, options))),
    problemWith(target) {
      if (!emailAddress.safeParse(target).success) return 'must be an e-mail address';
      return transport || !production ? undefined : 'cannot be reached: this shop sends no e-mail (SMTP_URL is not set)';
    },
    receiverOf: () => 'smtp',
    close: () => Promise.resolve(transport?.close()),
  };
}

const emailAddress = z.email().max(254);

/** No file and no URL is ever read for the sake of a mail, and nobody is waited for longer than an attempt may last. */
function openTransport(smtpUrl: string, { timeoutMs, connectionsMax, plaintextHosts }: EmailOptions): Transporter {
  const { protocol, hostname, port, username, password } = new URL(smtpUrl);
  const secure = protocol === 'smtps:';
  return createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port ? Number(port) : secure ? 465 : 587,
    secure,
    requireTLS: !mayBePlain(hostname, plaintextHosts),
    auth: username ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) } : undefined,
    ...{ pool: true as const, maxConnections: connectionsMax, disableFileAccess: true, disableUrlAccess: true },
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs, dnsTimeout: timeoutMs },
  });
}

async function mail(transport: Transporter, parcel: Parcel, { from, timeoutMs }: EmailOptions): Promise<Outcome> {
  const { subject, text } = letterOf(parcel);
  // The same id at every attempt: a mailbox shows a repetition once.
  const messageId = `<${parcel.eventId}@holdfast>`;
  try {
    const sent = transport.sendMail({ from, to: { name: '', address: parcel.target }, subject, text, messageId });
    await withDeadline(sent, timeoutMs, 'The mail server');
    return { type: 'delivered' };
  } catch (error) {
    return failed(error);
  }
}

interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
}

/** A mail server that refuses this very address says so with 5xx; everything else may pass. */
function failed(error: unknown): Outcome {
  const { code, responseCode = 0, message } = error as SmtpError;
  return { type: 'failed', error: message, hopeless: code === 'EENVELOPE' && responseCode >= 500 };
}

function writeToLog(parcel: Parcel, { production, log }: EmailOptions): Outcome {
  if (production) return { type: 'failed', error: 'SMTP_URL is not set: no e-mail can be sent' };
  log.info({ orderId: parcel.orderId, to: parcel.target, ...letterOf(parcel) }, 'an e-mail, had there been an SMTP_URL');
  return { type: 'delivered' };
}

function letterOf({ body, orderId }: Parcel): { subject: string; text: string } {
  const { message, reason, total, currency } = JSON.parse(body) as EventOf<'OrderStatusChanged'>;
  const lines = [
    message,
    reason === undefined ? '' : `Reason: ${reason}.`,
    total === undefined || currency === undefined ? '' : `Total: ${decimalOf(total, currency)} ${currency}.`,
    `Order ${orderId}`,
  ];
  return { subject: `Your order ${orderId}: ${message}`, text: `${lines.filter(Boolean).join('\n\n')}\n` };
}
