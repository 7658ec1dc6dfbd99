// Connections by cTCP and in real TCP: all of them, and one with its path and what helps.
import { html, useState } from './vendor/preact.js';
import { useAnswer, useRates } from './ask.js';
import { Action, Badge, Card, Facts, ProblemNote, Remedy, Table, Whose } from './parts.js';
import { PathPicture, ofConnection } from './path.js';
import { bits, count, millis, octets, percent, some, time } from './words.js';

export const STATE = { login: 'quiet', begins: 'quiet', up: 'good', suspected: 'warn', stalled: 'bad', ends: 'quiet' };
const FINDING = { well: 'good', lossy: 'warn', waits: 'warn', counts: 'warn', cut: 'warn', stalled: 'bad', shut: 'bad' };

const place = (id) => `#/connections/${encodeURIComponent(id)}`;
const lossOf = (loss) => (loss ? percent(loss.lost, loss.of) : '–');

export function Connections() {
  const [after, setAfter] = useState([]);
  const from = after.length > 0 ? `&after=${encodeURIComponent(after.at(-1))}` : '';
  const { data, problem } = useAnswer(`/v1/ctcp?limit=100${from}`);
  const rows = data?.connections ?? [];
  const columns = [
    ['Connection', '', (row) => html`<a class="name" href=${place(row.id)}>${row.id}</a>`],
    ['State', '', (row) => html`<${Badge} kind=${STATE[row.state]}>${row.state}<//>`],
    ['Whose', '', (row) => html`<${Whose} ...${row} />`],
    ['Peer', 'code', (row) => row.peer],
    ['Finding', '', (row) => (row.kind === 'ctcp' ? html`<${Badge} kind=${FINDING[row.remedy.reason]}>${row.remedy.reason}<//>` : 'real TCP')],
    ['Path', '', (row) => (row.kind === 'ctcp' ? row.path : '–')],
    ['Loss up', 'number', (row) => (row.kind === 'ctcp' ? lossOf(row.loss_up) : '–')],
    ['Loss down', 'number', (row) => (row.kind === 'ctcp' ? lossOf(row.loss_down) : percent(row.down.resent, row.down.segments))],
    ['RTT', 'number', (row) => millis(row.rtt_us)],
  ];
  return html`<${Card} id="connections" title="Connections" note="cTCP, Cisco’s IPsec over TCP, and real TCP (RFC 9329)">
    <${ProblemNote} problem=${problem} />
    <${Table} caption="Connections by TCP" columns=${columns} rows=${rows} keyOf=${(row) => row.id} empty=${data ? 'No client comes by TCP.' : 'Asking …'} />
    <${Pages} after=${after} setAfter=${setAfter} next=${data?.next} />
  <//>`;
}

export function Pages({ after, setAfter, next }) {
  if (after.length === 0 && !next) return null;
  return html`<nav class="pages" aria-label="Pages">
    <button type="button" disabled=${after.length === 0} onClick=${() => setAfter(after.slice(0, -1))}>Page before</button>
    <span>Page ${after.length + 1}</span>
    <button type="button" disabled=${!next} onClick=${() => setAfter([...after, next])}>Next page</button>
  </nav>`;
}

export function Connection({ id, may, say }) {
  const all = useAnswer(`/v1/ctcp?connection=${encodeURIComponent(id)}`);
  const view = all.data?.connections.find((row) => row.id === id);
  return html`<p class="trail"><a href="#/connections">Connections</a> / ${id}</p>
    <${ProblemNote} problem=${all.problem} />
    ${all.data && !view && html`<${Card} id="gone" title=${id}><p class="empty">There is no connection ${id}: it has ended. Its session’s story says how.</p><//>`}
    ${view && html`<${ConnectionCard} view=${view} at=${all.at} may=${may} say=${say} />`}`;
}

// One connection: picture, finding and remedy, and the evidence.
export function ConnectionCard({ view, at, may, say }) {
  const rates = useRates([['up', view.up.octets], ['down', view.down.octets]], at);
  const clear = may && html`<${Action} title="End connection" danger=${true} method="DELETE" path=${`/v1/ctcp/${view.id}`} say=${say} done=${`${view.id} is ended.`}
    question=${`${view.peer} is reset. Its session stays for it to come back to.`} />`;
  const common = [
    ['State', html`<${Badge} kind=${STATE[view.state]}>${view.state}<//>`],
    ['Whose', view.session ? html`<${Whose} session=${view.session} identity=${view.identity} />` : 'nobody’s yet'],
    ['Peer', view.peer, true],
    ['Here', view.local, true],
    ['Begun', `${time(view.age_seconds)} ago`],
    ['Last heard', `${time(view.silent_seconds)} ago`],
    ['From the client', `${bits(8 * (rates.get('up') ?? 0))}, ${octets(view.up.octets)}`],
    ['To the client', `${bits(8 * (rates.get('down') ?? 0))}, ${octets(view.down.octets)}`],
    ['Round trip', `${millis(view.rtt_us)}, least ${millis(view.least_rtt_us)}`],
    ['In flight', octets(view.in_flight)],
  ];
  if (view.kind === 'tcp') {
    const facts = [...common, ['Waiting', `${octets(view.queued)} of ${octets(view.queue_most)}`], ['Had to give way', some(view.given_way, 'packet', 'packets')],
      ['Sent again', `${count(view.down.resent)} of ${count(view.down.segments)} segments`]];
    return html`<${Card} id=${`c-${view.id}`} title=${`Connection ${view.id}`} note="real TCP (RFC 9329): TCP repairs itself">
      <${Facts} facts=${facts} />${clear && html`<div class="buttons">${clear}</div>`}<//>`;
  }
  const { up, down, remedy } = view;
  const evidence = [
    ['Client', `${view.client}, ${view.client_sure} % sure`],
    ['Path', `${view.path}, ${view.path_sure} % sure`],
    ['Segments from the client', `${count(up.segments)}; ${count(up.pieces)} pieces, ${count(up.keepalives)} without data`],
    ['Holes', `${up.holes}: ${up.holes_in_esp} with a gap in ESP, ${up.holes_not_in_esp} without`],
    ['of them', `${up.overtaken} overtaken, ${up.refilled} refilled, ${up.passed_over} passed over (${octets(up.missing)})`],
    ['ESP', `${count(up.esp)} packets; ${count(up.esp_missing)} missing, ${count(up.esp_late)} late, ${count(up.esp_again)} again`],
    ['Segments to the client', `${count(down.segments)}; ${count(down.resent)} sent again in ${count(down.repairs)} rounds, ${count(down.helped)} of them helped`],
    ['Acknowledgments', `${count(down.duplicates)} duplicates, ${count(down.plateaus)} plateaus, ${count(down.rewinds)} rewinds, ${count(down.filled)} fillers`],
    ['Kept for repeating', `${octets(view.ring)} of ${octets(view.ring_most)}`],
    view.missing_octets !== null && ['Missing', `${octets(view.missing_octets)} for ${time(view.stalled_seconds)}`],
  ];
  return html`<${Card} id=${`c-${view.id}`} title=${`Connection ${view.id}`} note="cTCP, Cisco’s IPsec over TCP">
    <${PathPicture} view=${ofConnection(view)} />
    <${Finding} reason=${remedy.reason} sentence=${remedy.sentence} lines=${remedy.lines} />
    <${Facts} facts=${common} />
    <details class="evidence"><summary>Evidence</summary><${Facts} facts=${evidence} /></details>
    ${clear && html`<div class="buttons">${clear}</div>`}
  <//>`;
}

export function Finding({ reason, sentence, lines }) {
  const kind = FINDING[reason] ?? 'quiet';
  return html`<div class="finding ${kind}">
    <p class="what"><${Badge} kind=${kind}>${reason}<//> <strong>${sentence[0].toUpperCase() + sentence.slice(1)}.</strong></p>
    ${lines.length > 0 && html`<h3>What helps${lines.filter((line) => !line.startsWith('  ')).length > 1 && html` <span class="quiet">– any one of these is enough</span>`}</h3><${Remedy} lines=${lines} />`}
  </div>`;
}
