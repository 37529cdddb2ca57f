// Copyright 2026 the pointata_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The last two steps: learn from corrections, and use what was learned.

import { get, post } from './api.js';

const PERIOD_MS = 600;
const percent = (share) => (100 * share).toFixed(1);
const element = (id) => document.getElementById(id);

export class Learning {
  /** `guard(work)` runs work that may fail; `looked()` is called when more scans have labels. */
  constructor(desk, guard, looked) {
    Object.assign(this, { desk, guard, looked });
    this.done = -1;
    element('learn').onclick = () => guard(() => this.learn());
    element('serve').onclick = () => guard(() => this.serve());
    for (const button of document.querySelectorAll('[data-labels]')) {
      button.onclick = () => guard(() => this.desk.show(button.dataset.labels));
    }
  }

  async open() {
    await this.showOutcome();
    await this.follow();
    setInterval(() => this.follow().catch(() => {}), PERIOD_MS);
  }

  /** How far the job of the server is. */
  async follow() {
    const job = await get('job'), before = this.job;
    this.job = job;
    this.bar('look', job);
    this.bar('learn', job);
    element('learn').disabled = job.running || !job.labelled;
    element('serve').disabled = job.running || !this.outcome;
    element('next').disabled = !job.labelled;
    if (job.name === 'look' && (job.done !== this.done || (before?.running && !job.running))) {
      this.done = job.done;
      await this.looked(job);
    }
    if (!before?.running || job.running) return;
    if (job.message) throw this.failed(job);
    if (job.name === 'learn') await this.learned();
    if (job.name === 'serve') this.served(job.result.nodes);
  }

  bar(name, job) {
    const place = element(`progress-${name}`), [text, bar] = place.children;
    place.hidden = !(job.running && job.name === name);
    text.textContent = job.stage + (job.of ? `: ${job.done} of ${job.of}` : ' …');
    if (job.of) { bar.max = job.of; bar.value = job.done; } else bar.removeAttribute('value');
  }

  failed({ message, fix }) {
    const error = new Error(fix ? `${message}. ${fix}.` : message);
    this.guard(() => { throw error; });
    return error;
  }

  async learn() {
    await post('learn');
    element('served').textContent = '';
    await this.follow();
  }

  async learned() {
    await this.showOutcome();
    await this.desk.show('after');
  }

  /** Table of before and after, from the last run. */
  async showOutcome() {
    this.outcome = await get('learned');
    element('pictures').hidden = !this.outcome;
    const place = element('outcome');
    place.replaceChildren();
    if (!this.outcome) return;
    const { before, after, taught_before, taught_after, worse, lessons } = this.outcome;
    const rows = [['right, of your clicks', taught_before.right, taught_after.right]];
    if (after.points) rows.push(['right, of clicks kept aside', before.right, after.right]);
    const classes = after.points ? [before.iou, after.iou] : [taught_before.iou, taught_after.iou];
    for (const name of Object.keys(classes[1])) {
      rows.push([`${name}, IoU`, classes[0][name], classes[1][name]]);
    }
    const table = document.createElement('table');
    table.innerHTML = '<tr><th>%</th><th>before</th><th>after</th></tr>';
    for (const [name, first, second] of rows) {
      const row = table.insertRow();
      for (const text of [name, first, second]) {
        row.insertCell().textContent = typeof text === 'number' ? percent(text) : text ?? '–';
      }
      if (typeof first === 'number' && Math.abs(second - first) > 0.005) {
        row.cells[2].className = second > first ? 'better' : 'worse';
      }
    }
    place.append(table);
    const notes = worse.map((sentence) => ['warning', `Worse than before: ${sentence}.`]);
    if (!after.points) {
      notes.push(['', 'From the fifth click on, one in five is kept aside to check what was learned.']);
    }
    if (lessons.distrusted.length) {
      const names = lessons.distrusted.join(', ');
      notes.push(['', `The bundle is often wrong about ${names}, so only your labels of them count.`]);
    }
    for (const [kind, text] of notes) {
      place.append(Object.assign(document.createElement('p'), { className: kind, textContent: text }));
    }
  }

  async serve() {
    const { worse } = this.outcome;
    const question = `The new bundle became worse: ${worse.join('; ')}. Use it all the same?`;
    if (worse.length && !confirm(question)) return;
    const { bundle } = await post('serve', { although_worse: worse.length > 0 });
    this.place = bundle;
    element('served').textContent = `Written to ${bundle}; looking for nodes …`;
    await this.follow();
  }

  served(nodes) {
    const found = nodes.map(({ node, success, message }) => `${node}${success ? '' : ' failed'}: ${message}`);
    const text = found.length ? found.join('. ') : 'No node runs here; give the folder to one as its parameter bundle';
    element('served').textContent = `Written to ${this.place}. ${text}.`;
  }
}
