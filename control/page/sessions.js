// Who is logged in: filtered, sorted, by pages.
import { html, useState, useEffect, useRef } from './vendor/preact.js';
import { useAnswer, useRates } from './ask.js';
import { Badge, Card, HEALTH, ProblemNote, Table } from './parts.js';
import { Pages } from './connections.js';
import { bits, byId, time, words } from './words.js';

const TRANSPORTS = ['nat-t', 'nat-t-500', 'cisco-udp', 'esp', 'ctcp', 'tcp'];
const STATES = ['connecting', 'up', 'closing'];
const SHOWN = 50;

// What is typed means an address if it looks like a whole one, otherwise a part of the identity.
function query({ text, transport, state }) {
  const parts = [];
  if (/^(\d+\.){3}\d+$|^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text)) parts.push(`address=${encodeURIComponent(text)}`);
  else if (text) parts.push(`identity=${encodeURIComponent(text.includes('*') ? text : `*${text}*`)}`);
  if (transport) parts.push(`transport=${transport}`);
  if (state) parts.push(`state=${state}`);
  return parts.map((part) => `&${part}`).join('');
}

export function counters(sessions) {
  return sessions?.flatMap((session) => [[`${session.id} in`, session.bytes_in], [`${session.id} out`, session.bytes_out]]);
}

const ORDER = { DOWN: 0, DEGRADED: 1, UP: 2 };
const VALUES = {
  health: (row) => ORDER[row.health],
  identity: (row) => row.identity,
  up: (row) => row.up_seconds,
  in: (row, rates) => rates.get(`${row.id} in`) ?? 0,
  out: (row, rates) => rates.get(`${row.id} out`) ?? 0,
};

function inOrder(rows, { by, down }, rates) {
  if (!by) return rows;
  const value = VALUES[by];
  const compared = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  const sorted = [...rows].sort((one, other) => compared(value(one, rates), value(other, rates)));
  return down ? sorted.reverse() : sorted;
}

export function SessionsTable({ rows, rates, sort, onSort, empty }) {
  const columns = [
    ['Identity', '', (row) => html`<a class="name" href=${byId(row.id)}>${row.identity || `(${row.id})`}</a>`, 'identity'],
    ['State', '', (row) => html`<${Badge} kind=${HEALTH[row.health]}>${row.health.toLowerCase()}${row.reason && ` · ${words(row.reason)}`}<//>`, 'health'],
    ['Inside', 'code', (row) => row.addresses.map((address) => html`<div>${address}</div>`)],
    ['Comes from', 'code', (row) => row.peer],
    ['By', '', (row) => row.transport || '–'],
    ['In', 'number', (row) => bits(8 * (rates.get(`${row.id} in`) ?? 0)), 'in'],
    ['Out', 'number', (row) => bits(8 * (rates.get(`${row.id} out`) ?? 0)), 'out'],
    ['Up', 'number', (row) => time(row.up_seconds), 'up'],
  ];
  return html`<${Table} caption="Sessions" columns=${columns} rows=${rows} keyOf=${(row) => row.id} empty=${empty} sort=${sort} onSort=${onSort} />`;
}

export function Sessions() {
  const [wanted, setWanted] = useState({ text: '', transport: '', state: '' });
  const [typed, setTyped] = useState('');
  const [after, setAfter] = useState([]);
  const [sort, setSort] = useState({ by: '', down: false });
  const [shown, setShown] = useState(SHOWN);
  const timer = useRef(0);
  const want = (change) => {
    setWanted((old) => ({ ...old, ...change }));
    setAfter([]);
    setShown(SHOWN);
  };
  const type = (text) => {
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => want({ text: text.trim() }), 200);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const from = after.length > 0 ? `&after=${encodeURIComponent(after.at(-1))}` : '';
  const { data, problem, at } = useAnswer(`/v1/sessions?limit=1000${query(wanted)}${from}`, 2000, 'sessions');
  const rates = useRates(counters(data?.sessions), at);
  const rows = inOrder(data?.sessions ?? [], sort, rates);
  const onSort = (by) => setSort((old) => (old.by === by ? { by, down: !old.down } : { by, down: by === 'in' || by === 'out' }));
  const chosen = wanted.text || wanted.transport || wanted.state;
  const end = after.length > 0 ? 'No more.' : chosen ? 'No session fits.' : 'Nobody is logged in.';
  // Behind a page of those that fit there are others, which may fit or not.
  const none = data?.next ? 'None among those that were looked at. The next page looks at more.' : end;
  const more = !chosen ? ' and more' : rows.length > 0 ? ', perhaps more behind them' : ' so far';
  const choice = (label, key, values) => html`<label>${label}
    <select value=${wanted[key]} onChange=${(event) => want({ [key]: event.target.value })}>
      <option value="">all</option>${values.map((value) => html`<option value=${value}>${value}</option>`)}
    </select></label>`;
  return html`<${Card} id="sessions" title="Sessions" note=${data ? `${rows.length}${data.next ? more : ''}` : ''}>
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="grows">Identity or address
        <input id="filter" type="search" value=${typed} onInput=${(event) => type(event.target.value)} autocomplete="off" spellcheck=${false} /></label>
      ${choice('By', 'transport', TRANSPORTS)} ${choice('State', 'state', STATES)}
    </form>
    <${ProblemNote} problem=${problem} />
    <${SessionsTable} rows=${rows.slice(0, shown)} rates=${rates} sort=${sort} onSort=${onSort} empty=${data ? none : 'Asking …'} />
    ${rows.length > shown && html`<div class="buttons"><button type="button" onClick=${() => setShown(shown + SHOWN)}>Show ${Math.min(SHOWN, rows.length - shown)} more of ${rows.length}</button></div>`}
    <${Pages} after=${after} setAfter=${setAfter} next=${data?.next} />
  <//>`;
}
