// What happens, as it happens.
import { html, useState } from './vendor/preact.js';
import { kinds, useEvents } from './ask.js';
import { Badge, Card, EventLine } from './parts.js';
import { some, words } from './words.js';

export function Events() {
  const stream = useEvents();
  const [kind, setKind] = useState('');
  const [text, setText] = useState('');
  const fits = (entry) => (!kind || entry.kind === kind || (kind === 'trouble' && entry.severity !== 'info'))
    && (!text || [entry.identity, entry.session, entry.peer, entry.subject, entry.reason, entry.sentence].some((part) => part?.toLowerCase().includes(text.toLowerCase())));
  const rows = stream.entries.filter(fits);
  const note = html`<${Badge} kind=${stream.live ? 'good' : 'warn'}>${stream.live ? 'live' : 'not connected'}<//>${stream.missed > 0 ? ` ${some(stream.missed, 'event was', 'events were')} missed` : ''}`;
  return html`<${Card} id="events" title="Events" note=${note}>
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="grows">Anything in them <input id="filter" type="search" value=${text} onInput=${(event) => setText(event.target.value)} autocomplete="off" /></label>
      <label>Kind <select value=${kind} onChange=${(event) => setKind(event.target.value)}>
        <option value="">all</option><option value="trouble">warnings and errors</option>${kinds.map((one) => html`<option value=${one}>${words(one)}</option>`)}</select></label>
    </form>
    ${rows.length === 0 ? html`<p class="empty">${stream.entries.length === 0 ? 'Nothing has happened so far.' : 'No event fits.'}</p>`
      : html`<ol class="events">${rows.map((entry) => html`<${EventLine} key=${entry.id} entry=${entry} />`)}</ol>`}
  <//>`;
}
