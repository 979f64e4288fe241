// Answers "ping" by itself, and has the agent answer everything else.

export const handler = {
  describe() {
    return { name: '@BOT@', version: '1.0.0', wants: [], settingsSchema: undefined, attributes: [] };
  },

  onMessage(event) {
    const { text } = event.message;
    if (/^ping$/i.test(text.trim())) {
      return { tag: 'reply', val: [{ tag: 'text', val: 'pong' }] };
    }
    return { tag: 'ask', val: { text: `${event.user.name} says: ${text}`, attributes: [] } };
  },

  formatReply(_event, outcome) {
    return [{ tag: 'markdown', val: outcome.tag === 'completed' ? outcome.val.text : outcome.val.sentence }];
  },
};
