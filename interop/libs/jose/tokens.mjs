// jose as a signer and a checker: one request a line on standard input, one answer a line on standard output; what
// they hold is told in ../README.md. LIBRARY: the folder where the package is installed.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { SignJWT, exportJWK, generateKeyPair, generateSecret, importJWK, jwtVerify } = await import(
  pathToFileURL(join(process.env.LIBRARY, 'node_modules/jose/dist/webapi/index.js')).href
);

const ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519',
  'HS256', 'HS384', 'HS512',
];
const signing = new Map();
const published = [];
for (const alg of ALGORITHMS) {
  const pair = alg.startsWith('HS')
    ? { secret: await generateSecret(alg, { extractable: true }) }
    : await generateKeyPair(alg, { extractable: true });
  signing.set(alg, pair.secret ?? pair.privateKey);
  published.push({ ...await exportJWK(pair.secret ?? pair.publicKey), alg, kid: alg, use: 'sig' });
}

const does = {
  keys: () => ({ keys: published }),
  async sign({ algorithm, header, claims }) {
    const key = signing.get(algorithm);
    if (!key) return { cannot: `it has no ${algorithm}` };
    return { token: await new SignJWT(claims).setProtectedHeader({ alg: algorithm, ...header }).sign(key) };
  },
  async check({ algorithm, token, jwk, issuer, audience }) {
    if (!signing.has(algorithm)) return { cannot: `it has no ${algorithm}` };
    try {
      const key = await importJWK(jwk, algorithm);
      const { payload } = await jwtVerify(token, key, { algorithms: [algorithm], issuer, audience });
      return { claims: payload };
    } catch (error) {
      return { refused: `${error.code ?? error.name}` };
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(await does[request.do](request)));
}
