// Where the server keeps its state: memory, with switches that a database would have. The package's own memory adapter
// holds 1,000 entries and no more, which fewer live tokens than that fill.

// What belongs to a grant, and ends with it.
const OF_A_GRANT = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class Store {
  #rows = new Map();
  #clients = new Map();
  #disabled = new Set();
  locked = false;

  // Clients are looked up here, so that one can be taken away while the server runs.
  constructor(clients) {
    for (const client of clients) this.#clients.set(client.client_id, client);
  }

  disable(client) { this.#disabled.add(client); }

  enable(client) { this.#disabled.delete(client); }

  adapter(model) {
    const key = (id) => `${model}:${id}`;
    const open = () => {
      if (this.locked) throw new Error('the store is locked');
    };
    const row = (name) => {
      open();
      const found = this.#rows.get(name);
      if (found && found.until > Date.now()) return found.payload;
      this.#rows.delete(name);
      return undefined;
    };
    const where = (member, value) => {
      open();
      for (const name of this.#rows.keys()) {
        if (name.startsWith(`${model}:`) && row(name)?.[member] === value) return row(name);
      }
      return undefined;
    };
    const find = (id) => {
      open();
      if (model !== 'Client') return row(key(id));
      return this.#disabled.has(id) ? undefined : this.#clients.get(id);
    };
    return {
      upsert: async (id, payload, expiresIn) => {
        open();
        this.#rows.set(key(id), { payload, until: Date.now() + (expiresIn ?? Infinity) * 1000 });
      },
      find: async (id) => find(id),
      findByUid: async (uid) => where('uid', uid),
      findByUserCode: async (code) => where('userCode', code),
      consume: async (id) => {
        row(key(id)).consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => {
        open();
        this.#rows.delete(key(id));
      },
      revokeByGrantId: async (grantId) => {
        open();
        for (const [name, { payload }] of this.#rows) {
          if (OF_A_GRANT.has(name.split(':')[0]) && payload.grantId === grantId) this.#rows.delete(name);
        }
      },
    };
  }
}
