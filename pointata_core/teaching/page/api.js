// Copyright 2026 the pointata_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Requests to the server; the table is in pointata_core/teaching/server.py. Paths are relative, so
// the page works behind any forwarded port.

/** What the server found wrong, with what to do about it. */
export class Refused extends Error {
  constructor({ message, fix }, status) {
    super(fix ? `${message}. ${fix}.` : message);
    this.status = status;
  }
}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused({
      message: 'The server does not answer',
      fix: 'Start pointata teach again; all corrections up to here are on disk',
    }, 0);
  }
  if (!answer.ok) {
    const facts = await answer.json().catch(() => ({ message: `status ${answer.status}` }));
    throw new Refused(facts, answer.status);
  }
  return answer;
}

export const get = async (path) => (await request(path)).json();

export const post = async (path, body = {}) =>
  (await request(path, { method: 'POST', body: JSON.stringify(body) })).json();

const KINDS = {
  points: Float32Array, probability: Float32Array, labels: Uint16Array, before: Uint16Array,
  after: Uint16Array, by: Int32Array, segments: Int32Array,
};

/** One array of a scan, such as its points. */
export async function array(scan, what) {
  const answer = await request(`scans/${scan}/${what}`, { cache: 'no-store' });
  return new KINDS[what](await answer.arrayBuffer());
}
