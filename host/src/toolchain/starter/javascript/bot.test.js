import assert from 'node:assert/strict';
import test from 'node:test';

import { handler } from '../src/bot.js';

test('a ping is answered without the agent', () => {
  const decision = handler.onMessage({ user: { name: 'Ann' }, message: { text: 'ping' } });
  assert.deepEqual(decision, { tag: 'reply', val: [{ tag: 'text', val: 'pong' }] });
});
