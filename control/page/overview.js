// The headend at a glance.
import { html } from './vendor/preact.js';
import { history, useAnswer, useEvents, useRates } from './ask.js';
import { Badge, Card, EventLine, ProblemNote } from './parts.js';
import { Bar, Sparkline } from './charts.js';
import { SessionsTable, counters } from './sessions.js';
import { bits, count, day, perSecond, some, time, words } from './words.js';

const BUSIEST = 5, LATEST = 12, SOON = 30 * 86400;
// There are more than one answer has.
const OF_FIRST = 'of the first 1000 sessions';

export function Overview({ status }) {
  const sessions = useAnswer('/v1/sessions?limit=1000');
  const workers = useAnswer('/v1/workers');
  const drops = useAnswer('/v1/drops');
  const pools = useAnswer('/v1/pools', 5000);
  const certificates = useAnswer('/v1/certificates', 60000);
  const events = useEvents();
  const rates = useRates(counters(sessions.data?.sessions), sessions.at);
  const sum = (way) => (rates.size > 0 || sessions.data?.sessions.length === 0 ? total(rates, way) : undefined);
  const [into, out] = [sum(' in'), sum(' out')];
  return html`
    <${Notes} status=${status} problem=${sessions.problem} />
    <div class="tiles small">
      <${SessionsTile} status=${status} sessions=${sessions.data} />
      <${RateTile} title="From clients" kind="in" at=${sessions.at} rate=${into} more=${sessions.data?.next} />
      <${RateTile} title="To clients" kind="out" at=${sessions.at} rate=${out} more=${sessions.data?.next} />
      <${DropsTile} drops=${drops} />
    </div>
    <div class="tiles">
      <${WorkersTile} workers=${workers} />
      <${PoolsTile} pools=${pools.data?.pools} />
      <${CertificatesTile} certificates=${certificates.data} />
    </div>
    <${Busiest} sessions=${sessions.data} rates=${rates} />
    <${Card} id="latest" title="Latest events" note=${html`<a href="#/events">All events</a>`}>
      ${events.entries.length === 0 ? html`<p class="empty">Nothing has happened so far.</p>` : html`<ol class="events">
        ${events.entries.slice(0, LATEST).map((entry) => html`<${EventLine} key=${entry.id} entry=${entry} />`)}</ol>`}
    <//>`;
}

function total(rates, way) {
  let sum = 0;
  for (const [key, rate] of rates) if (key.endsWith(way)) sum += rate;
  return sum;
}

// What somebody should know before anything else.
function Notes({ status, problem }) {
  return html`<${ProblemNote} problem=${problem} />
    ${status?.state === 'draining' && html`<p class="problem">aditd is draining: nobody new is let in.</p>`}
    ${status?.state === 'leaving' && html`<p class="problem">aditd is leaving: it says goodbye to its clients.</p>`}
    ${status && status.cookies_asked_of !== 'nobody' && html`<p class="problem">Many logins are unfinished: cookies are asked of ${status.cookies_asked_of}.</p>`}
    ${status?.lacks.map((lack) => html`<p class="note-line">${lack}.</p>`)}`;
}

function Tile({ title, href, children }) {
  const heading = href ? html`<a href=${href}>${title}</a>` : title;
  return html`<section class="card tile"><h2>${heading}</h2>${children}</section>`;
}

function SessionsTile({ status, sessions }) {
  const of = (health) => sessions?.sessions.filter((session) => session.health === health).length ?? 0;
  const [degraded, down] = [of('DEGRADED'), of('DOWN')];
  return html`<${Tile} title="Sessions" href="#/sessions">
    <p class="big">${status ? status.sessions : '–'}</p>
    <p class="badges"><${Badge} kind="good">${of('UP')} up<//>
      ${degraded > 0 && html`<${Badge} kind="warn">${degraded} degraded<//>`}
      ${down > 0 && html`<${Badge} kind="bad">${down} down<//>`}
      ${status?.half_open > 0 && html`<${Badge}>${status.half_open} half-open<//>`}</p>
    ${sessions?.next && html`<p class="note">up, degraded and down ${OF_FIRST}</p>`}<//>`;
}

function RateTile({ title, kind, at, rate, more }) {
  const now = rate === undefined ? undefined : 8 * rate;
  const line = history(title, at, now);
  return html`<${Tile} title=${title}><p class="big">${bits(now)}</p>
    <${Sparkline} line=${line} kind=${kind} label=${`${title}, of late`} />
    ${more && html`<p class="note">${OF_FIRST}</p>`}<//>`;
}

function DropsTile({ drops }) {
  const reasons = drops.data ?? [];
  const rates = useRates(drops.data?.map((reason) => [reason.name, reason.total]), drops.at);
  const rate = [...rates.values()].reduce((sum, one) => sum + one, 0);
  const total = reasons.reduce((sum, reason) => sum + reason.total, 0);
  const top = reasons.filter((reason) => rates.get(reason.name) > 0).sort((one, other) => rates.get(other.name) - rates.get(one.name))[0];
  const line = history('drops', drops.at, rates.size > 0 ? rate : undefined);
  return html`<${Tile} title="Drops" href="#/workers"><p class="big">${perSecond(drops.data ? rate : undefined)}</p>
    <${Sparkline} line=${line} kind="drops" label="Drops, of late" />
    <p class="note">${top ? top.sentence : `${count(total)} since the start`}</p><//>`;
}

export function loads(workers) {
  return workers.data?.map((worker) => [String(worker.worker), worker.busy_us]);
}

function WorkersTile({ workers }) {
  const rates = useRates(loads(workers), workers.at);
  return html`<${Tile} title="Workers’ load" href="#/workers">
    <ul class="bars">${(workers.data ?? []).slice(0, 8).map((worker) => {
      const load = Math.min(1, (rates.get(String(worker.worker)) ?? 0) / 1e6);
      return html`<li><span>${worker.worker}</span><${Bar} of=${1} label=${`Worker ${worker.worker}`} parts=${[{ value: load, kind: load > 0.9 ? 'bad' : load > 0.7 ? 'warn' : 'used' }]} />
        <span class="number">${Math.round(100 * load)} %</span></li>`;
    })}</ul>
    ${workers.data?.length > 8 && html`<p class="note">and ${workers.data.length - 8} more</p>`}<//>`;
}

// How full a range is for those who have no address of their own; what is held for somebody counts as free.
export function fill(range) {
  const size = range.size - range.reserved;
  return size > 0 ? (range.in_use - range.reserved_in_use) / size : 0;
}

function PoolsTile({ pools }) {
  const ranges = (pools ?? []).flatMap((pool) => pool.ranges.map((range) => ({ ...range, name: pool.name })));
  const fullest = ranges.sort((one, other) => fill(other) - fill(one)).slice(0, 3);
  return html`<${Tile} title="Pools" href="#/pools">
    <ul class="bars">${fullest.map((range) => html`<li><span title=${range.network}>${range.name}</span>
      <${Bar} of=${1} label=${`Pool ${range.name}, ${range.network}`} parts=${[{ value: fill(range), kind: fill(range) >= 0.9 ? 'bad' : 'used' }]} />
      <span class="number">${Math.round(100 * fill(range))} %</span></li>`)}</ul>
    ${pools?.length === 0 && html`<p class="note">There are no pools.</p>`}<//>`;
}

function CertificatesTile({ certificates }) {
  if (!certificates || certificates.length === 0) return null;
  const now = Date.now() / 1000;
  const next = [...certificates].sort((one, other) => one.not_after - other.not_after)[0];
  const left = next.not_after - now;
  const [kind, text] = left < 0 ? ['bad', 'has ended'] : left < SOON ? ['warn', `ends in ${time(left)}`] : ['good', `good for ${time(left)}`];
  return html`<${Tile} title="Certificates"><p class="badges"><${Badge} kind=${kind}>${text}<//></p>
    <p class="note code">${next.subject}</p><p class="note">for ${words(next.used_for)}, until ${day(1000 * next.not_after)}${certificates.length > 1 ? `; ${some(certificates.length - 1, 'other', 'others')} later` : ''}</p><//>`;
}

function Busiest({ sessions, rates }) {
  const both = (row) => (rates.get(`${row.id} in`) ?? 0) + (rates.get(`${row.id} out`) ?? 0);
  const trouble = (row) => (row.health === 'UP' ? 0 : 1);
  const rows = [...(sessions?.sessions ?? [])].sort((one, other) => trouble(other) - trouble(one) || both(other) - both(one)).slice(0, BUSIEST);
  return html`<${Card} id="busiest" title="Sessions" note=${`in trouble first, then the busiest${sessions?.next ? `, ${OF_FIRST}` : ''}`}>
    <${SessionsTable} rows=${rows} rates=${rates} empty=${sessions ? 'Nobody is logged in.' : 'Asking …'} /><//>`;
}
