// Signs who has signed in: a JSON Web Token (RFC 7519) with ES256 (RFC 7518 section 3.4), good for a minute.
//
// The signer stands in assertion-signer.json, which nginx reads while it is root:
//   { "issuer": "proxy", "audience": "sealwright", "kid": "one", "key": "KEY" }
// and in the portal's keys-file, a JSON Web Key Set (RFC 7517):
//   { "keys": [{ "kty": "EC", "crv": "P-256", "kid": "one", "x": "X", "y": "Y" }] }
// where a new key and its point, without the `=` at their ends, are
//   openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256 -out key.pem
//   KEY: openssl pkcs8 -in key.pem -topk8 -nocrypt -outform DER | base64 -w0
//   X:   openssl pkey -in key.pem -pubout -outform DER | tail -c 64 | head -c 32 | basenc --base64url
//   Y:   openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | basenc --base64url

function encoded(value) {
    return Buffer.from(JSON.stringify(value)).toString('base64url');
}

async function sign(request) {
    const login = request.variables.signed_in;
    if (!login) {
        request.return(401);
        return;
    }
    const head = { alg: 'ES256', typ: 'JWT', kid: signer.kid };
    const until = Math.floor(Date.now() / 1000) + 60;
    const claims = { iss: signer.issuer, aud: signer.audience, sub: login, exp: until };
    const text = encoded(head) + '.' + encoded(claims);
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('pkcs8', Buffer.from(signer.key, 'base64'), algorithm, false, ['sign']);
    const signature = await crypto.subtle.sign(algorithm, key, text);
    request.headersOut['Assertion'] = text + '.' + Buffer.from(signature).toString('base64url');
    request.return(204);
}

export default { sign };
