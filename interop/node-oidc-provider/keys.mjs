// The server's keys, in a file that a server started again reads. Of several that fit, it signs with the first. No key
// says its algorithm, some don't say their use, and two are for encryption: all of that is usual.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const RSA = ['rsa', { modulusLength: 2048 }];
const TYPES = {
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  ES512: ['ec', { namedCurve: 'P-521' }],
  EdDSA: ['ed25519', {}],
  Ed25519: ['ed25519', {}],
};

function key([type, options], use) {
  const { privateKey } = generateKeyPairSync(type, options);
  const kid = randomBytes(9).toString('base64url');
  return { ...privateKey.export({ format: 'jwk' }), kid, ...(use && { use }) };
}

function firstKeys() {
  return [
    key(RSA, 'enc'),
    key(['x25519', {}], 'enc'),
    key(RSA, 'sig'),
    key(TYPES.ES256),
    key(TYPES.ES384),
    key(TYPES.ES512, 'sig'),
    key(TYPES.EdDSA, 'sig'),
  ];
}

export class Keys {
  #file;
  #keys;

  constructor(file) {
    this.#file = file;
    this.#become(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : firstKeys());
  }

  #become(keys) {
    this.#keys = keys;
    writeFileSync(this.#file, JSON.stringify(keys), { mode: 0o600 });
  }

  all() { return this.#keys; }

  // A new key, which signs from now on, or is published only; returns its id. It says its use if its elders do: the
  // server prefers keys that say it.
  add(alg, signs) {
    const added = key(TYPES[alg] ?? RSA, 'sig');
    const elder = this.#keys.find((one) => one.kty === added.kty && one.crv === added.crv && one.use !== 'enc');
    if (elder && !elder.use) delete added.use;
    this.#become(signs ? [added, ...this.#keys] : [...this.#keys, added]);
    return added.kid;
  }

  first(kid) {
    const [chosen] = this.#keys.filter((one) => one.kid === kid);
    this.#become([chosen, ...this.#keys.filter((one) => one.kid !== kid)]);
  }

  drop(kid) { this.#become(this.#keys.filter((one) => one.kid !== kid)); }
}
