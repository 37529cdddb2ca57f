// Copyright 2026 the pointata_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The scan that is looked at, and what is done to it.

import { array, get, post } from './api.js';

const NONE = 65535, UNKNOWN = [105, 112, 122];
const DIM = 0.28;

export class Desk {
  /** `changed(desk)` is called when something else is to be seen, `say(text)` with news. */
  constructor(cloud, changed, say) {
    Object.assign(this, { cloud, changed, say });
    this.scan = -1;
    this.class = null;  // name; null for none of the classes
    this.labels = 'labels';  // or before, after
    this.confidence = false;
    this.carryOver = true;
    this.hidden = new Set();
    this.hovered = -1;  // segment
    cloud.visible = (n) => !this.hidden.has(this.shown[n]);
  }

  async open() {
    this.project = await get('project');
    this.class = this.project.classes[0].name;
    await this.goTo(Math.min(Number(location.hash.slice(1)) || 0, this.project.scans.length - 1));
  }

  /** Look at another scan. */
  async goTo(scan) {
    if (scan < 0 || scan >= this.project.scans.length) return;
    this.opening = scan;
    const rows = await array(scan, 'points');
    const read = await this.fetched(scan);
    if (this.opening !== scan) return;  // another one was chosen since
    this.scan = scan;
    history.replaceState(null, '', `#${scan}`);
    this.take(read);
    this.cloud.show(rows);
    this.repaint();
  }

  /** Read labels anew: of the person, of the bundle, and of the one that learned. */
  async refresh() {
    const scan = this.scan;
    const read = await this.fetched(scan);
    if (scan !== this.scan) return;
    this.take(read);
    this.repaint();
  }

  async fetched(scan) {
    const names = ['labels', 'by', 'segments', 'probability'];
    if (this.labels !== 'labels') names.push(this.labels);
    const found = await Promise.all(names.map((name) => array(scan, name).catch((error) => {
      if (error.status === 404 && name === 'after') return null;
      throw error;
    })));
    return Object.fromEntries(names.map((name, n) => [name, found[n]]));
  }

  take(read) {
    if (this.labels === 'after' && !read.after) {
      this.say('The new bundle labels only scans near your corrections');
      this.labels = 'labels';
    }
    this.arrays = read;
    this.shown = read[this.labels];
    this.members = null;
    this.hovered = -1;
  }

  /** Choose whose labels are seen. */
  async show(labels) {
    this.labels = labels;
    await this.refresh();
  }

  repaint() {
    const colours = this.project.classes.map((one) => one.colour);
    const { by, probability } = this.arrays;
    this.cloud.paint((rgb) => {
      for (let n = 0; n < this.shown.length; n++) {
        const label = this.shown[n];
        const colour = this.hidden.has(label) ? [28, 32, 38] : colours[label] ?? UNKNOWN;
        let share = 1;
        if (this.confidence) {
          share = by[n] ? DIM : DIM + (1 - DIM) * Math.min(1, 2 * (1 - probability[n]));
        }
        for (let c = 0; c < 3; c++) rgb[3 * n + c] = colour[c] * share;
      }
      for (const n of this.pointsOf(this.hovered)) {
        for (let c = 0; c < 3; c++) rgb[3 * n + c] = 255 - (255 - rgb[3 * n + c]) * 0.35;
      }
    });
    this.changed(this);
  }

  /** Show the points of a class, or hide them. */
  setVisible(label, visible) {
    if (visible) this.hidden.delete(label); else this.hidden.add(label);
    this.repaint();
  }

  /** Points of a segment. */
  pointsOf(segment) {
    if (segment < 0) return [];
    if (!this.members) {
      this.members = new Map();
      this.arrays.segments.forEach((one, n) => {
        if (!this.members.has(one)) this.members.set(one, []);
        this.members.get(one).push(n);
      });
    }
    return this.members.get(segment) ?? [];
  }

  hover(point) {
    const segment = point < 0 ? -1 : this.arrays.segments[point];
    if (segment === this.hovered) return;
    this.hovered = segment;
    this.repaint();
  }

  /** Name of the class of a point. */
  nameOf(point) {
    const label = this.shown[point];
    return label === NONE ? 'no class' : this.project.classes[label].name;
  }

  // ------------------------------------------------------------------ corrections

  async click(point) {
    const segment = this.arrays.segments[point];
    if (segment < 0) {
      this.say('This point belongs to no segment yet: use the brush, or wait for the bundle');
      return;
    }
    await this.correct('click', { segment, class: this.class });
  }

  async label(index) {
    if (index.length) await this.correct('points', { index, class: this.class });
  }

  async split(index) {
    if (!index.length) return;
    await post(`scans/${this.scan}/split`, { index });
    const text = `${index.length} points are a segment of their own now`;
    await this.counted(this.project.edits + 1, text);
  }

  async confirm() {
    const index = this.cloud.inWindow();
    await this.correct('confirm', { index }, 'the visible labels');
  }

  async correct(what, body, as = this.class ?? 'none of the classes') {
    if (this.labels !== 'labels') this.labels = 'labels';
    const path = `scans/${this.scan}/${what}`;
    const edit = await post(path, { ...body, carry_over: this.carryOver });
    const others = edit.scans.length - 1;
    const also = others ? `, also in ${others} other scan${others > 1 ? 's' : ''}` : '';
    this.project.scans[this.scan].corrected = true;
    await this.counted(edit.edit, `Saved: ${as}${also}`);
  }

  async undo() { await this.moved(await post('undo'), 'Undone', 'There is nothing to undo', -1); }

  async redo() { await this.moved(await post('redo'), 'Done again', 'There is nothing to redo', 0); }

  async moved(edit, done, nothing, change) {
    if (!edit) { this.say(nothing); return; }
    const here = edit.scans.includes(this.scan);
    const where = here ? '' : ` in scan ${this.project.scans[edit.scans[0]].name}`;
    await this.counted(edit.edit + change, `${done}${where}`);
  }

  async counted(edits, text) {
    this.project.edits = edits;
    this.say(text);
    await this.refresh();
  }
}
