// jsonwebtoken as a signer and a checker: one request a line on standard input, one answer a line on standard output;
// what they hold is told in ../README.md. LIBRARY: the folder where the package is installed.
import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const jwt = createRequire(join(process.env.LIBRARY, 'package.json'))('jsonwebtoken');

const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
const ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'HS256', 'HS384', 'HS512',
];
const signing = new Map();
const published = [];
for (const alg of ALGORITHMS) {
  let pair;
  if (alg.startsWith('HS')) {
    const secret = createSecretKey(randomBytes(Number(alg.slice(2)) / 8));
    pair = { publicKey: secret, privateKey: secret };
  } else if (CURVES[alg]) {
    pair = generateKeyPairSync('ec', { namedCurve: CURVES[alg] });
  } else {
    pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  }
  signing.set(alg, pair.privateKey);
  published.push({ ...pair.publicKey.export({ format: 'jwk' }), alg, kid: alg, use: 'sig' });
}

const does = {
  keys: () => ({ keys: published }),
  sign({ algorithm, header, claims }) {
    const key = signing.get(algorithm);
    if (!key) return { cannot: `it has no ${algorithm}` };
    // It writes `typ: JWT` unless told otherwise; a member that is undefined is left out.
    return { token: jwt.sign(claims, key, { algorithm, header: { typ: undefined, ...header } }) };
  },
  check({ algorithm, token, jwk, issuer, audience }) {
    if (!signing.has(algorithm)) return { cannot: `it has no ${algorithm}` };
    try {
      const key = jwk.kty === 'oct'
        ? createSecretKey(Buffer.from(jwk.k, 'base64url'))
        : createPublicKey({ key: jwk, format: 'jwk' });
      return { claims: jwt.verify(token, key, { algorithms: [algorithm], issuer, audience }) };
    } catch (error) {
      return { refused: `${error.name}: ${error.message}` };
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(does[request.do](request)));
}
