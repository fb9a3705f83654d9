// An authorization server for the interop checks: node-oidc-provider on loopback, everything in memory, all keys and
// secrets new at each start. Told by its environment: PORT (0: a free one), SERVER_HOME (where oidc-provider is
// installed), ENV_FILE (what it writes for the checks), SECRETS (the folder for the clients' secrets).
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { PORT, SERVER_HOME, ENV_FILE, SECRETS } = process.env;
const { default: Provider } = await import(
  pathToFileURL(join(SERVER_HOME, 'node_modules/oidc-provider/lib/index.js')).href
);

// What goes wrong goes to the log, but without the `cause`: that may be a private key.
process.on('uncaughtException', (error) => {
  console.error(error.stack);
  process.exit(1);
});

// The port first: the issuer's name holds it.
const http = createServer();
await new Promise((resolve, reject) => {
  http.once('error', reject);
  http.listen(Number(PORT), '127.0.0.1', resolve);
});
const issuer = `http://127.0.0.1:${http.address().port}`;

const API = 'https://api.example.com';
const OTHER_API = 'https://other.example.com';
const CALLBACK = 'http://127.0.0.1/callback'; // never reached: the code is read from the redirect to it
const ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS256',
];

// No key says its algorithm, some don't say their use, and two are for encryption: all of that is usual.
function key(type, options, use) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), ...(use && { use }) };
}
const keys = [
  key('rsa', { modulusLength: 2048 }, 'enc'),
  key('x25519', {}, 'enc'),
  key('rsa', { modulusLength: 2048 }, 'sig'),
  key('ec', { namedCurve: 'P-256' }),
  key('ec', { namedCurve: 'P-384' }),
  key('ec', { namedCurve: 'P-521' }, 'sig'),
  key('ed25519', {}, 'sig'),
];

function secret(client, text = randomBytes(32).toString('base64url')) {
  writeFileSync(join(SECRETS, client), text, { mode: 0o600 });
  return text;
}

// What a client's access tokens look like is told by its id.
const kinds = new Map([
  ['app-opaque', { accessTokenFormat: 'opaque' }],
  ['app-opaque-short', { accessTokenFormat: 'opaque', accessTokenTTL: 2 }],
  ['app-jwt-long', { jwt: { sign: { alg: 'RS256' } }, accessTokenTTL: 3600 }],
  ['app-jwe', {
    jwt: { sign: { alg: 'RS256' }, encrypt: { alg: 'dir', enc: 'A256GCM', key: randomBytes(32) } },
  }],
  ['user-opaque', { accessTokenFormat: 'opaque' }],
  ['user-jwt', { jwt: { sign: { alg: 'RS256' } } }],
]);
for (const alg of ALGORITHMS) {
  const sign = alg.startsWith('HS') ? { alg, key: randomBytes(32) } : { alg };
  kinds.set(`app-jwt-${alg}`, { jwt: { sign } });
}

const clients = [...kinds.keys()].map((id) => ({
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
// The resource servers: they only introspect. One's secret needs its form-encoding in HTTP Basic (RFC 6749 §2.3.1).
const introspecting = { grant_types: [], response_types: [], redirect_uris: [] };
clients.push(
  { ...introspecting, client_id: 'api', client_secret: secret('api', `50%+&:/=${randomBytes(24).toString('base64')}`) },
  {
    ...introspecting,
    client_id: 'api-signed',
    client_secret: secret('api-signed'),
    introspection_signed_response_alg: 'RS256',
  },
);

const mayAsk = (_ctx, client, token) => client.clientId.startsWith('api') || client.clientId === token.clientId;

const provider = new Provider(issuer, {
  clients,
  jwks: { keys },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  scopes: ['openid', 'offline_access'],
  findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: mayAsk },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => client.clientId === token.clientId },
    dPoP: { enabled: true },
    // These two for the sake of encryption keys in the key set: requests may be encrypted for the server.
    encryption: { enabled: true },
    requestObjects: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource, client) => {
        if (resource !== API && resource !== OTHER_API) throw new Error('no such resource');
        return {
          audience: resource,
          scope: 'read write',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          ...kinds.get(client.clientId),
        };
      },
    },
  },
});

// A user without a browser: whoever follows the redirects with a cookie jar is alice, and consents to everything.
async function interaction(ctx) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  let result;
  if (prompt.name === 'login') {
    result = { login: { accountId: 'alice' } };
  } else {
    const grant = grantId
      ? await provider.Grant.find(grantId)
      : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details;
    grant.addOIDCScope(missingOIDCScope.join(' '));
    for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
      grant.addResourceScope(resource, scopes.join(' '));
    }
    result = { consent: { grantId: await grant.save() } };
  }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: true }));
}

let introspections = 0;
provider.use(async (ctx, next) => {
  if (ctx.path === '/interop/introspections') {
    ctx.body = `${introspections}\n`; // how often somebody has asked
  } else if (ctx.path.startsWith('/interaction/')) {
    await interaction(ctx);
  } else {
    if (ctx.path === '/token/introspection') introspections += 1;
    await next();
  }
});
http.on('request', provider.callback());

const env = {
  ISSUER: issuer,
  HEALTH: `${issuer}/.well-known/openid-configuration`,
  JWKS: `${issuer}/jwks`,
  AUTHORIZATION: `${issuer}/auth`,
  TOKEN: `${issuer}/token`,
  INTROSPECTION: `${issuer}/token/introspection`,
  REVOCATION: `${issuer}/token/revocation`,
  INTROSPECTIONS_SO_FAR: `${issuer}/interop/introspections`,
  CALLBACK,
  API,
  OTHER_API,
  API_CLIENT: 'api',
  API_SIGNED_CLIENT: 'api-signed',
  ALGORITHMS: ALGORITHMS.join(' '),
  SECRETS,
};
const text = Object.entries(env).map(([name, value]) => `${name}='${value}'\n`).join('');
writeFileSync(`${ENV_FILE}.new`, text);
renameSync(`${ENV_FILE}.new`, ENV_FILE); // whoever sees it sees all of it
