// Questions to the API: asked again and again while somebody looks, and what happens, as it happens.
import { useState, useEffect, useRef } from './vendor/preact.js';

// What is wrong, in the daemon's own words where it has some.
export class Problem extends Error {
  constructor(status, type, detail) {
    super(detail);
    this.status = status;
    this.type = type;
  }
}

// A network that is dead says nothing, and a browser waits for ever. Milliseconds without an octet of an answer.
const PATIENCE = 10000;

export async function ask(path, { signal, ...options } = {}) {
  const silence = new AbortController();
  const abort = () => silence.abort();
  let timer = setTimeout(abort, PATIENCE), answer, text;
  const came = () => { clearTimeout(timer); timer = setTimeout(abort, PATIENCE); };
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  try {
    answer = await fetch(path, { credentials: 'same-origin', redirect: 'error', ...options, signal: silence.signal });
    // The login is over: what stands here now for strangers is the form.
    if (answer.status === 401) location.reload();
    text = await all(answer, came);
  } catch (error) {
    if (signal?.aborted) throw error;
    fallSilent();
    throw new Problem(0, 'unreachable', 'aditd does not answer');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
  speakAgain();
  let body = null;
  try { body = JSON.parse(text); } catch { /* there is none, or it is not aditd's */ }
  if (answer.ok) return body;
  const type = (body?.type ?? '').replace('urn:adit:problem:', '') || 'strange';
  throw new Problem(answer.status, type, body?.detail ?? `the answer is ${answer.status}`);
}

// An answer's body; `came` hears of each piece.
async function all(answer, came) {
  const reader = answer.body?.getReader(), decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { value } = (await reader?.read()) ?? {};
    if (!value) return text + decoder.decode();
    came();
    text += decoder.decode(value, { stream: true });
  }
}

// Of sessions that are many a page may have none that is meant, and not be the last: so many of those are passed over in one go.
const PASSED_OVER = 64;
async function askForSome(path, list, options) {
  let page = await ask(path, options);
  for (let passed = 0; page?.[list].length === 0 && page.next && passed < PASSED_OVER; passed += 1) {
    page = await ask(`${path.replace(/&after=[^&]*/, '')}&after=${encodeURIComponent(page.next)}`, options);
  }
  return page;
}

// Whoever signs out asks no more: the answer would be a stranger's.
const underWay = new Set();
let leaving = false;
export function leave() {
  leaving = true;
  for (const abort of underWay) abort.abort();
  close();
}

// The latest answer to a path, asked again every so many milliseconds. Nobody asks while the tab is hidden. With the name of a `list` it is the first
// page behind that which has something in it; where that takes long it is asked for less often.
export function useAnswer(path, every = 2000, list = '') {
  const [state, setState] = useState({ path: null, data: null, problem: null, at: 0 });
  useEffect(() => {
    if (!path) return undefined;
    let over = false, timer = 0, asking = false, wait = every;
    const abort = new AbortController();
    underWay.add(abort);
    const round = async () => {
      if (over || leaving || asking || document.hidden) return;
      asking = true;
      try {
        const begun = performance.now();
        const data = await (list ? askForSome(path, list, { signal: abort.signal }) : ask(path, { signal: abort.signal }));
        wait = list ? Math.max(every, 4 * (performance.now() - begun)) : every;
        if (!over) setState({ path, data, problem: null, at: performance.now() });
      } catch (problem) {
        // What is not there comes seldom.
        wait = problem.status === 404 ? 5 * every : every;
        if (!over && !leaving) setState((old) => ({ ...old, data: old.path === path ? old.data : null, path, problem }));
      }
      asking = false;
      clearTimeout(timer);
      if (!over) timer = setTimeout(round, wait);
    };
    document.addEventListener('visibilitychange', round);
    round();
    return () => {
      over = true;
      clearTimeout(timer);
      abort.abort();
      underWay.delete(abort);
      document.removeEventListener('visibilitychange', round);
    };
  }, [path, every, list]);
  return state.path === path ? state : { path, data: null, problem: null, at: 0 };
}

// Counters become rates: what each has grown by since the answer before, in a second. A counter that is new has none yet.
export function useRates(counters, at) {
  const kept = useRef({ at: 0, counters: new Map(), rates: new Map() });
  const last = kept.current;
  if (counters && at > last.at) {
    const seconds = (at - last.at) / 1000;
    const rates = new Map(), now = new Map(counters);
    for (const [key, value] of now) {
      const before = last.counters.get(key);
      if (before !== undefined && value >= before && seconds < 30) rates.set(key, (value - before) / seconds);
    }
    kept.current = { at, counters: now, rates };
  }
  return kept.current.rates;
}

// The last values of something, for a small chart; it stays while the page does.
const histories = new Map();
const KEPT = 90;
export function history(name, at, value) {
  let line = histories.get(name);
  if (!line) histories.set(name, (line = []));
  if (value !== undefined && at > (line.at(-1)?.at ?? 0)) {
    line.push({ at, value });
    if (line.length > KEPT) line.shift();
  }
  // Of those who have gone nothing is kept for long.
  if (histories.size > 400) histories.delete(histories.keys().next().value);
  return line;
}

// What happens. One stream for the whole page; it goes on where it was after a pause.
const EVENTS_KEPT = 500;
const stream = { source: null, seen: null, entries: [], missed: 0, live: false, readers: new Set() };
let waiting = 0;

function tell() {
  waiting = 0;
  for (const reader of stream.readers) reader({});
}
function tellSoon() {
  waiting ||= setTimeout(tell, 100);
}
function hear(message) {
  let entry;
  try { entry = JSON.parse(message.data); } catch { return; }
  stream.seen = message.lastEventId || stream.seen;
  if (stream.entries.some((known) => known.id === entry.id)) return;
  stream.entries.unshift(entry);
  stream.entries.length = Math.min(stream.entries.length, EVENTS_KEPT);
  tellSoon();
}
const KINDS = [
  'login', 'login_refused', 'logout', 'rekey', 'transport_moved', 'transport_closed', 'stall_suspected', 'stall_found', 'stall_refuted',
  'capture_started', 'capture_ended', 'pool_low', 'pool_recovered', 'certificate_expiring', 'worker_overloaded', 'worker_recovered',
  'daemon_started', 'reloaded', 'state_not_written', 'state_written', 'draining', 'draining_over', 'daemon_leaving',
];
export const kinds = KINDS;
function open() {
  if (stream.source || document.hidden || leaving || silent) return;
  const from = stream.seen ? `since=${encodeURIComponent(stream.seen)}` : 'last=200';
  const source = new EventSource(`/v1/events?${from}`);
  stream.source = source;
  for (const kind of KINDS) source.addEventListener(kind, hear);
  source.addEventListener('missed', (message) => {
    // What was not kept before the page was there is not missed by it.
    if (!stream.seen) return;
    try { stream.missed += JSON.parse(message.data).missed; } catch { /* a number is missing, no event */ }
    tellSoon();
  });
  source.onopen = () => { stream.live = true; tellSoon(); };
  source.onerror = () => {
    stream.live = false;
    tellSoon();
    // A browser tries again by itself unless it was refused.
    if (source.readyState === EventSource.CLOSED && stream.source === source) {
      stream.source = null;
      setTimeout(open, 3000);
    }
  };
}
function close() {
  stream.source?.close();
  stream.source = null;
  stream.live = false;
}
// A stream over a dead network looks like one where nothing happens. When a question has no answer it is closed, and opened again behind the last
// event as soon as one has.
let silent = false;
function fallSilent() {
  silent = true;
  close();
  tellSoon();
}
function speakAgain() {
  if (!silent) return;
  silent = false;
  open();
}
document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));

export function useEvents() {
  const [, again] = useState({});
  useEffect(() => {
    stream.readers.add(again);
    open();
    return () => stream.readers.delete(again);
  }, []);
  return stream;
}
