/** The door of live: following the rows of a table as they are committed, each once and in order. */
export { createFeed, CursorAhead, type Feed, type Following, type Page, type Positioned } from './feed';
export { patiently } from './patiently';
export { createPulse, type Pulse } from './pulse';
