// An authorization server for the interop checks: node-oidc-provider on loopback. Told by its environment: PORT (0: a
// free one), HOST (where it listens), NAMED (the host in its issuer's name), SERVER_HOME (where oidc-provider is
// installed), ENV_FILE (what it writes for the checks), SECRETS and STATE (folders for the clients' secrets and for its
// own keys and tokens; what is there already is used).
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CALLBACK, clients, kinds } from './clients.mjs';
import { Keys } from './keys.mjs';
import { Store } from './store.mjs';

const { PORT, HOST, NAMED, SERVER_HOME, ENV_FILE, SECRETS, STATE } = process.env;
const PACKAGE = join(SERVER_HOME, 'node_modules/oidc-provider');
const { default: Provider } = await import(pathToFileURL(join(PACKAGE, 'lib/index.js')).href);

// What goes wrong goes to the log, but without the `cause`: that may be a private key.
process.on('uncaughtException', (error) => {
  console.error(error.stack);
  process.exit(1);
});

// The port first: the issuer's name holds it.
const http = createServer();
await new Promise((resolve, reject) => {
  http.once('error', reject);
  http.listen(Number(PORT), HOST, resolve);
});
const { port } = http.address();
const issuer = `http://${NAMED}:${port}`;
const address = `http://${HOST}:${port}`;

const API = 'https://api.example.com';
const OTHER_API = 'https://other.example.com';

const keys = new Keys(join(STATE, 'keys.json'));
const store = new Store(join(STATE, 'journal'), clients(SECRETS));
const disabledUsers = new Set();
const cookies = { keys: [randomBytes(32).toString('hex')] }; // no session outlives the process

// Resource servers may ask about every token, clients about their own.
const mayAsk = (_ctx, client, token) => client.clientId.startsWith('api') || client.clientId === token.clientId;

const configuration = () => ({
  adapter: (model) => store.adapter(model),
  jwks: { keys: keys.all() },
  cookies,
  scopes: ['openid', 'offline_access'],
  findAccount: (_ctx, accountId) => (
    disabledUsers.has(accountId) ? undefined : { accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  // A session's end is the end of its tokens, those with a refresh token as well.
  expiresWithSession: () => true,
  rotateRefreshToken: true,
  pkce: { required: () => false },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: mayAsk },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => client.clientId === token.clientId },
    dPoP: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => { ctx.body = form; },
      postLogoutSuccessSource: (ctx) => { ctx.body = 'out\n'; },
    },
    // These two for the sake of encryption keys in the key set: requests may be encrypted for the server.
    encryption: { enabled: true },
    requestObjects: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource, client) => {
        if (resource !== API && resource !== OTHER_API) throw new Error('no such resource');
        return {
          audience: resource,
          scope: 'read write',
          accessTokenFormat: 'jwt',
          // The lifetime, in seconds, is said by whoever asks for the token.
          accessTokenTTL: Number(ctx.get('interop-lifetime') || 300),
          ...kinds.get(client.clientId),
        };
      },
    },
  },
});

// A user without a browser: whoever follows the redirects with a cookie jar is alice, and consents to everything.
async function interaction(provider, ctx) {
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

// What an operator does, at the database or in the configuration. Changed keys mean what they mean in a cluster: the
// server is started anew over the same store, one request by the old one, the next by the new one.
let introspections = 0;
let answer;
const operations = {
  introspections: () => introspections, // how often somebody has asked
  'client/disable': ({ id }) => { store.disable(id); },
  'client/enable': ({ id }) => { store.enable(id); },
  'user/disable': ({ id }) => { disabledUsers.add(id); },
  'user/enable': ({ id }) => { disabledUsers.delete(id); },
  'store/lock': () => { store.locked = true; },
  'store/unlock': () => { store.locked = false; },
  'key/add': ({ alg, signs }) => {
    const kid = keys.add(alg, signs !== 'no');
    answer = callback();
    return kid;
  },
  'key/sign': ({ kid }) => {
    keys.first(kid);
    answer = callback();
  },
  'key/drop': ({ kid }) => {
    keys.drop(kid);
    answer = callback();
  },
};

function callback() {
  const provider = new Provider(issuer, configuration());
  provider.on('server_error', (_ctx, error) => console.error(error.message));
  provider.use(async (ctx, next) => {
    if (ctx.path.startsWith('/interop/')) {
      const operation = operations[ctx.path.slice('/interop/'.length)];
      if (operation) ctx.body = `${operation(ctx.query) ?? ''}\n`;
    } else if (ctx.path.startsWith('/interaction/')) {
      await interaction(provider, ctx);
    } else {
      if (ctx.path === '/token/introspection') introspections += 1;
      await next();
    }
  });
  return provider.callback();
}
answer = callback();
http.on('request', (request, response) => answer(request, response));

const env = {
  VERSION: JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')).version,
  ISSUER: issuer,
  PORT: port,
  // Where it listens; all below are there, and have the issuer's name in the metadata that are asked for by it.
  ADDRESS: address,
  HEALTH: `${address}/.well-known/openid-configuration`,
  AUTHORIZATION: `${address}/auth`,
  TOKEN: `${address}/token`,
  REVOCATION: `${address}/token/revocation`,
  LOGOUT: `${address}/session/end`,
  OPERATIONS: `${address}/interop/`,
  // These are the verifier's, and by the issuer's name.
  JWKS: `${issuer}/jwks`,
  INTROSPECTION: `${issuer}/token/introspection`,
  CALLBACK,
  API,
  OTHER_API,
  API_CLIENT: 'api',
  SECRETS,
};
const text = Object.entries(env).map(([name, value]) => `${name}='${value}'\n`).join('');
writeFileSync(`${ENV_FILE}.new`, text);
renameSync(`${ENV_FILE}.new`, ENV_FILE); // whoever sees it sees all of it
