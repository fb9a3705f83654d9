// Who uses the server. What a client's access tokens look like is told by its id.
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS256',
];
export const CALLBACK = 'http://127.0.0.1/callback'; // never reached: the code is read from the redirect to it

// Of `app-...` clients (client credentials) and `user-...` clients (alice's tokens).
export const kinds = new Map();
for (const who of ['app', 'user']) {
  kinds.set(`${who}-opaque`, { accessTokenFormat: 'opaque' });
  for (const alg of ALGORITHMS) {
    const sign = alg.startsWith('HS') ? { alg, key: randomBytes(32) } : { alg };
    kinds.set(`${who}-jwt-${alg}`, { jwt: { sign } });
  }
}
// Encrypted for nobody who is here.
kinds.set('app-jwe', {
  jwt: { sign: { alg: 'RS256' }, encrypt: { alg: 'dir', enc: 'A256GCM', key: randomBytes(32) } },
});

// All clients. Their secrets and keys are in files of their own in the folder `secrets`: made if they aren't there.
export function clients(secrets) {
  const kept = (name, make) => {
    const file = join(secrets, name);
    if (!existsSync(file)) writeFileSync(file, make(), { mode: 0o600 });
    return readFileSync(file, 'utf8');
  };
  const secret = (client, begins = '') => kept(client, () => begins + randomBytes(32).toString('base64url'));
  // The private half is in the file, in PEM; the public half is what the server is told.
  const pair = (client, alg, type, options) => {
    const pem = kept(`${client}.pem`, () => (
      generateKeyPairSync(type, options).privateKey.export({ type: 'pkcs8', format: 'pem' })));
    return { ...createPublicKey(pem).export({ format: 'jwk' }), kid: `${client}-1`, alg, use: 'sig' };
  };

  const tokens = [...kinds.keys()].map((id) => ({
    client_id: id,
    client_secret: secret(id),
    ...(id.startsWith('user-')
      ? {
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: [CALLBACK],
        application_type: 'native',
      }
      : { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }),
  }));

  // The resource servers: they only introspect.
  const caller = (client_id, more) => (
    { client_id, grant_types: [], response_types: [], redirect_uris: [], ...more });
  const assertion = (client_id, alg, type, options) => caller(client_id, {
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [pair(client_id, alg, type, options)] },
  });
  const signed = (client_id, alg, more) => caller(client_id, {
    client_secret: secret(client_id), introspection_signed_response_alg: alg, ...more,
  });
  return [
    ...tokens,
    // This one's secret needs its form-encoding in HTTP Basic (RFC 6749 §2.3.1).
    caller('api', { client_secret: secret('api', '50%+&:/=') }),
    caller('api-post', { client_secret: secret('api-post'), token_endpoint_auth_method: 'client_secret_post' }),
    caller('api-public', { token_endpoint_auth_method: 'none' }),
    caller('api-secret-jwt', {
      client_secret: secret('api-secret-jwt'),
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg: 'HS256',
    }),
    assertion('api-key-jwt-RS256', 'RS256', 'rsa', { modulusLength: 2048 }),
    assertion('api-key-jwt-PS256', 'PS256', 'rsa', { modulusLength: 2048 }),
    assertion('api-key-jwt-ES256', 'ES256', 'ec', { namedCurve: 'P-256' }),
    assertion('api-key-jwt-EdDSA', 'EdDSA', 'ed25519', {}),
    // Answers as RFC 9701 has them.
    signed('api-signed', 'RS256'),
    signed('api-signed-ES256', 'ES256'),
    signed('api-signed-EdDSA', 'EdDSA'),
    // And one whose answers would be encrypted: whoever asks for plain JSON in its name is refused.
    signed('api-encrypted', 'RS256', {
      introspection_encrypted_response_alg: 'dir', introspection_encrypted_response_enc: 'A256GCM',
    }),
  ];
}
