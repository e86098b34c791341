// A real OpenID provider for tests: `oidc-provider`, with people that the tests name. Prints its
// issuer when it listens. Whoever sends `x-sign-in-as: NAME` with the log-in page is NAME.
//
// A program may sign in by itself as `workload`, with the same secret: it gets a JWT for the resource
// that it names, for ten minutes.
//
// Accounts are connected as `connections`, with the same secret: refresh tokens that rotate, device codes,
// revocation. Whoever sends `x-grant: SCOPES` with the consent page grants no more than these. With `pages`
// people without `x-sign-in-as` are shown forms.
// `GET /mint?NAME` gives a refresh token, as if NAME had consented to `offline_access`. Each is good once.
//
// Argument: JSON of {people: {NAME: {email, email_verified, name}}, clientId, clientSecret,
// redirectUris, connectionUris?, pages?}.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);

const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handle = serve(issuer);
  console.log(issuer);
  // Nobody reads on.
  console.info = console.warn = () => {};
});
// The tests' end of the pipe closes with them, however they end.
process.stdin.on('end', () => process.exit(0)).resume();

let handle = (_, response) => response.writeHead(503).end();

function serve(issuer) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: settings.clientId,
      client_secret: settings.clientSecret,
      redirect_uris: settings.redirectUris,
      grant_types: ['authorization_code', 'refresh_token'],
    }, {
      client_id: 'workload',
      client_secret: settings.clientSecret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    }, ...connections()],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'read', 'write'],
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: () => true,
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({
          audience, accessTokenFormat: 'jwt', accessTokenTTL: 600, scope: '',
        }),
      },
    },
    findAccount: (_, id) => settings.people[id] && {
      accountId: id,
      claims: () => ({ sub: id, ...settings.people[id] }),
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: true,
  });
  const allowed = provider.Client.prototype.redirectUriAllowed;
  provider.Client.prototype.redirectUriAllowed = function of(uri) {
    return (this.clientId === 'connections' && OF_APP.test(uri)) || allowed.call(this, uri);
  };
  const answer = provider.callback();
  return (request, response) => {
    if (request.url.startsWith('/mint?')) {
      mint(provider, request.url.slice(6)).then((token) => response.end(token));
    } else if (request.url.startsWith('/interaction/')) {
      interact(provider, request, response).catch((error) => response.writeHead(500).end(`${error}`));
    } else {
      answer(request, response);
    }
  };
}

async function mint(provider, accountId) {
  const scope = 'openid offline_access';
  const client = await provider.Client.find(settings.clientId);
  const grant = new provider.Grant({ accountId, clientId: settings.clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const now = Math.floor(Date.now() / 1000);
  const token = new provider.RefreshToken({
    accountId, client, grantId, scope, authTime: now, iiat: now, gty: 'authorization_code', rotations: 0,
  });
  return token.save();
}

// An app's own address is known only once it is set up here.
const OF_APP = /\/v1\/oauth\/custom-[0-9a-f-]{36}\/callback$/;

function connections() {
  return settings.connectionUris ? [{
    client_id: 'connections',
    client_secret: settings.clientSecret,
    redirect_uris: settings.connectionUris,
    grant_types: [
      'authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code',
    ],
    token_endpoint_auth_method: 'client_secret_post',
  }] : [];
}

async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  let accountId = request.headers['x-sign-in-as'];
  if (settings.pages && !accountId) {
    if (request.method !== 'POST') {
      const field = prompt.name === 'login' ? '<input name="person">' : '';
      response.writeHead(200, { 'content-type': 'text/html' });
      return response.end(`<h1>${prompt.name}</h1><form method="post">${field}<button>Yes</button></form>`);
    }
    const form = new URLSearchParams((await request.toArray()).join(''));
    accountId = form.get('person');
  }
  if (prompt.name === 'login') {
    const result = accountId
      ? { login: { accountId } }
      : { error: 'access_denied', error_description: 'nobody is there' };
    return provider.interactionFinished(request, response, result);
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const granted = request.headers['x-grant'] ?? params.scope;
  grant.addOIDCScope(granted);
  const refused = params.scope.split(' ').filter((scope) => !granted.split(' ').includes(scope));
  if (refused.length) grant.rejectOIDCScope(refused.join(' '));
  const result = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}
