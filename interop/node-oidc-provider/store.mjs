// Where the server keeps its state: memory and a journal, which a server started again reads; with switches that a
// database would have. (The package's own memory adapter holds 1,000 entries and no more: fewer live tokens fill it.)
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

// What belongs to a grant, and ends with it.
const OF_A_GRANT = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class Store {
  #rows = new Map();
  #journal;
  #clients;
  #disabled = new Set();
  locked = false;

  // Clients are looked up here, so that one can be taken away while the server runs.
  constructor(journal, clients) {
    this.#journal = journal;
    this.#clients = new Map(clients.map((client) => [client.client_id, client]));
    if (!existsSync(journal)) return;
    for (const line of readFileSync(journal, 'utf8').split('\n').slice(0, -1)) {
      const { name, row } = JSON.parse(line);
      this.#put(name, row);
    }
  }

  disable(client) { this.#disabled.add(client); }

  enable(client) { this.#disabled.delete(client); }

  #put(name, row) {
    if (row) this.#rows.set(name, row);
    else this.#rows.delete(name);
  }

  #write(name, row) {
    appendFileSync(this.#journal, `${JSON.stringify({ name, row })}\n`, { mode: 0o600 });
    this.#put(name, row);
  }

  #read(name) {
    const row = this.#rows.get(name);
    return row && !(row.until <= Date.now()) ? row.payload : undefined;
  }

  adapter(model) {
    const name = (id) => `${model}:${id}`;
    const open = () => {
      if (this.locked) throw new Error('the store is locked');
    };
    const where = (member, value) => {
      for (const one of this.#rows.keys()) {
        if (one.startsWith(`${model}:`) && this.#read(one)?.[member] === value) return this.#read(one);
      }
      return undefined;
    };
    const methods = {
      upsert: (id, payload, expiresIn) => {
        this.#write(name(id), { payload, until: expiresIn && Date.now() + expiresIn * 1000 });
      },
      find: (id) => {
        if (model !== 'Client') return this.#read(name(id));
        return this.#disabled.has(id) ? undefined : this.#clients.get(id);
      },
      findByUid: (uid) => where('uid', uid),
      findByUserCode: (code) => where('userCode', code),
      consume: (id) => {
        const row = this.#rows.get(name(id));
        row.payload.consumed = Math.floor(Date.now() / 1000);
        this.#write(name(id), row);
      },
      destroy: (id) => this.#write(name(id)),
      revokeByGrantId: (grantId) => {
        for (const [one, { payload }] of this.#rows) {
          if (OF_A_GRANT.has(one.split(':')[0]) && payload.grantId === grantId) this.#write(one);
        }
      },
    };
    return Object.fromEntries(Object.entries(methods).map(([method, does]) => [method, async (...given) => {
      open();
      return does(...given);
    }]));
  }
}
