// One session: how it does, its keys, its path, its flows, and what it has been through.
import { html } from './vendor/preact.js';
import { history, useAnswer, useRates } from './ask.js';
import { Action, Badge, Card, EventLine, Facts, HEALTH, ProblemNote, Table } from './parts.js';
import { Sparkline } from './charts.js';
import { ConnectionCard, Finding } from './connections.js';
import { PathPicture, ofDiagnosis } from './path.js';
import { bits, count, millis, octets, time, words } from './words.js';

const FLOWS_SHOWN = 40;

export function Session({ id, may, say }) {
  const name = encodeURIComponent(id);
  const detail = useAnswer(`/v1/sessions/${name}`, 1500);
  const story = useAnswer(`/v1/sessions/${name}/story`, 2500);
  const gone = detail.problem?.type === 'no_such_session';
  const session = gone ? null : detail.data?.session;
  const connections = useAnswer(session && ['ctcp', 'tcp'].includes(session.transport) ? `/v1/ctcp?session=${name}` : null, 1500);
  const stall = story.data?.events.findLast((entry) => entry.kind === 'stall_found' && entry.diagnosis);
  return html`<p class="trail"><a href="#/sessions">Sessions</a> / ${id}</p>
    ${session && html`<${Head} session=${session} at=${detail.at} may=${may} say=${say} />`}
    ${gone && html`<${Over} id=${id} story=${story} />`}
    ${!gone && html`<${ProblemNote} problem=${detail.problem} />`}
    ${session && connections.data?.connections.map((view) => html`<${ConnectionCard} key=${view.id} view=${view} at=${connections.at} may=${may} say=${say} />`)}
    ${gone && stall && html`<${Card} id="stall" title="Why it stalled" note=${`connection ${stall.subject ?? ''}, cTCP`}>
      <${PathPicture} view=${ofDiagnosis(stall)} />
      <${Finding} reason=${stall.reason} sentence=${told(stall)} lines=${stall.remedy} /><//>`}
    ${session && html`<${Flows} name=${name} />`}
    ${session && html`<${Sas} sas=${detail.data.sas} />`}
    <${Story} story=${story} />`;
}

// The finding alone, without what is said before it for those who read a list.
function told(entry) {
  const words = entry.sentence.replace(/^[^:]*: /, '').replace(/\.$/, '');
  return words || entry.sentence;
}

const limit = (rate) => (rate ? bits(rate) : 'any rate');
const drops = (reasons) => Object.entries(reasons).sort(([, a], [, b]) => b - a).map(([reason, packets]) => `${count(packets)} ${words(reason)}`).join(', ');

function Head({ session, at, may, say }) {
  const rates = useRates([['in', session.bytes_in], ['out', session.bytes_out]], at);
  const into = history(`${session.id} in`, at, rates.has('in') ? 8 * rates.get('in') : undefined);
  const out = history(`${session.id} out`, at, rates.has('out') ? 8 * rates.get('out') : undefined);
  const path = `/v1/sessions/${session.id}`;
  const who = session.identity || session.id;
  const facts = [
    ['Inside', session.addresses.join(', '), true],
    ['Comes from', html`${session.peer}${session.peer_behind_nat ? ' (NAT)' : ''}`, true],
    ['To', session.local, true],
    ['By', `IKE${session.ike}, ${session.transport ? `ESP by ${session.transport}` : 'no ESP yet'}`],
    ['Connection', session.connection],
    session.group && ['Group', session.group],
    ['Up', time(session.up_seconds)],
    ['Last packet', `${time(session.idle_seconds)} ago`],
    ['Received', `${octets(session.bytes_in)}, ${count(session.packets_in)} packets`],
    ['Sent', `${octets(session.bytes_out)}, ${count(session.packets_out)} packets`],
    Object.keys(session.drops).length > 0 && ['Dropped', drops(session.drops)],
    session.class && ['Class', session.class],
    (session.rate_up || session.rate_down) && ['May', `${limit(session.rate_up)} up, ${limit(session.rate_down)} down`],
    session.idle_timeout && ['Ends if idle', `for ${time(session.idle_timeout)}`],
    session.session_timeout_in && ['Ends', `in ${time(session.session_timeout_in)}`],
    ['Worker', String(session.worker)],
    ['IKE', session.ike_algorithms, true],
    ['IKE SPIs', session.ike_spis, true],
  ];
  const rate = (title, line, now, kind) => html`<div class="rate"><p>${title}</p><p class="big">${bits(now === undefined ? undefined : 8 * now)}</p>
    <${Sparkline} line=${line} kind=${kind} label=${`${title}, of late`} /></div>`;
  return html`<${Card} id="session" title=${html`<span class="name">${who}</span>`}
    note=${html`${session.id} <${Badge} kind=${HEALTH[session.health]}>${session.health.toLowerCase()}${session.reason && ` · ${words(session.reason)}`}<//>`}>
    <div class="rates">${rate('From the client', into, rates.get('in'), 'in')}${rate('To the client', out, rates.get('out'), 'out')}</div>
    <${Facts} facts=${facts} />
    ${may && html`<div class="buttons">
      <${Action} title="Replace keys" method="POST" path=${`${path}/rekey`} say=${say} done=${`The keys of ${session.id} are being replaced.`} question=${`The child SAs of ${who} get new keys. Traffic goes on.`} />
      <${Action} title="Replace IKE SA" method="POST" path=${`${path}/rekey?what=ike`} say=${say} done=${`The IKE SA of ${session.id} is being replaced.`} question=${`The IKE SA of ${who} is replaced. By IKEv1 only who has begun it can do that.`} />
      <${Action} title="Disconnect" danger=${true} method="DELETE" path=${path} say=${say} done=${`${session.id} ends.`} question=${`${who} is told that the session is over. Most clients come back by themselves.`} />
    </div>`}
  <//>`;
}

function Over({ id, story }) {
  const last = story.data?.events.findLast((entry) => entry.kind === 'logout');
  return html`<${Card} id="session" title=${html`<span class="name">${story.data?.identity || id}</span>`} note=${html`${id} <${Badge} kind="quiet">over<//>`}>
    <p>${last ? `${last.sentence[0].toUpperCase()}${last.sentence.slice(1)}.` : story.data ? 'This session is over.' : 'No session of this name is here, or remembered.'}</p>
    ${last?.remedy.map((line) => html`<p>${line}</p>`)}
  <//>`;
}

function Flows({ name }) {
  const { data, problem } = useAnswer(`/v1/flows?session=${name}&limit=500`, 2000);
  if (problem?.type === 'not_counted') return html`<${Card} id="flows" title="Flows"><p class="empty">Flows are not counted: <span class="code">[flows] table</span> is off.</p><//>`;
  const rate = (flow) => flow.up.bits_per_second + flow.down.bits_per_second;
  const rows = [...(data?.flows ?? [])].sort((one, other) => rate(other) - rate(one) || one.idle_ms - other.idle_ms);
  const both = (trip) => (trip ? millis(trip.smoothed_us) : '–');
  const columns = [
    ['Other end', 'code', (flow) => flow.server],
    ['Protocol', '', (flow) => html`${flow.protocol}${flow.tcp && html` <span class="quiet">${flow.tcp.state}</span>`}`],
    ['Client', 'code', (flow) => flow.client],
    ['From client', 'number', (flow) => bits(flow.up.bits_per_second)],
    ['To client', 'number', (flow) => bits(flow.down.bits_per_second)],
    ['Octets', 'number', (flow) => octets(flow.up.bytes + flow.down.bytes)],
    ['RTT client', 'number', (flow) => both(flow.tcp?.client_rtt)],
    ['RTT server', 'number', (flow) => both(flow.tcp?.server_rtt)],
    ['Again', 'number', (flow) => (flow.tcp ? `${count(flow.tcp.retransmitted_up)} · ${count(flow.tcp.retransmitted_down)}` : '–')],
    ['Idle', 'number', (flow) => time(flow.idle_ms / 1000)],
  ];
  const sampled = data && data.sampled_one_of > 1 ? `, one packet of ${data.sampled_one_of} looked at` : '';
  const note = data ? `${rows.length}${data.next ? ' and more' : ''}${rows.length > FLOWS_SHOWN ? `, the busiest ${FLOWS_SHOWN}` : ''}${sampled}` : '';
  return html`<${Card} id="flows" title="Flows" note=${note}>
    <${ProblemNote} problem=${problem} />
    <${Table} caption="Flows inside this session" columns=${columns} rows=${rows.slice(0, FLOWS_SHOWN)} keyOf=${(flow) => `${flow.protocol} ${flow.client} ${flow.server}`}
      empty=${data ? 'No flow so far.' : 'Asking …'} /><//>`;
}

function Sas({ sas }) {
  const columns = [
    ['SPI in', 'code', (sa) => sa.spi_in],
    ['SPI out', 'code', (sa) => sa.spi_out || '–'],
    ['State', '', (sa) => html`<${Badge} kind=${sa.state === 'active' ? 'good' : 'quiet'}>${sa.state}<//>`],
    ['Algorithms', 'code', (sa) => `${sa.algorithms} (${sa.library})`],
    ['Ours', 'code', (sa) => sa.local.map((net) => html`<div>${net}</div>`)],
    ['Theirs', 'code', (sa) => sa.remote.map((net) => html`<div>${net}</div>`)],
    ['Age', 'number', (sa) => time(sa.age_seconds)],
    ['In', 'number', (sa) => octets(sa.bytes_in)],
    ['Out', 'number', (sa) => octets(sa.bytes_out)],
    ['Inner MTU', 'number', (sa) => (sa.inner_mtu > 0 ? String(sa.inner_mtu) : '–')],
  ];
  return html`<${Card} id="sas" title="Child SAs"><${Table} caption="Child SAs" columns=${columns} rows=${sas} keyOf=${(sa) => sa.spi_in} empty="None." /><//>`;
}

function Story({ story }) {
  if (!story.data) return null;
  const { events, left_out: leftOut } = story.data;
  return html`<${Card} id="story" title="Story" note=${leftOut > 0 ? `${leftOut} events in between are not kept` : ''}>
    <ol class="events">${[...events].reverse().map((entry) => html`<${EventLine} key=${entry.id} entry=${entry} withWhom=${false} />`)}</ol><//>`;
}
