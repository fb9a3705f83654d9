// Prints a DPoP proof (RFC 9449) for one request, by a key that is new each time: node dpop.mjs METHOD URL
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const [method, url] = process.argv.slice(2);
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) };
const claims = { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000) };
const input = `${part(header)}.${part(claims)}`;
const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
console.log(`${input}.${signature.toString('base64url')}`);
