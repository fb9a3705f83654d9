"""PyJWT as a signer and a checker: one request a line on standard input, one answer a line on standard output; what they
hold is told in ../README.md."""

import json
import secrets
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
ALGORITHMS = get_default_algorithms()
WANTED = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
          "HS256", "HS384", "HS512"]


def new_key(alg):
    """What signs, and what is published."""
    if alg.startswith("HS"):
        secret = secrets.token_bytes(int(alg[2:]) // 8)
        return secret, secret
    if alg in CURVES:
        key = ec.generate_private_key(CURVES[alg]())
    elif alg.startswith("Ed"):
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key, key.public_key()


SIGNING, PUBLISHED = {}, []
for name in WANTED:
    if name in ALGORITHMS:
        SIGNING[name], public = new_key(name)
        jwk = json.loads(ALGORITHMS[name].to_jwk(public))
        # Its `key_ops` stay as it writes them.
        PUBLISHED.append({**jwk, "alg": name, "kid": name, "use": "sig"})


def keys(_request):
    return {"keys": PUBLISHED}


def sign(request):
    alg = request["algorithm"]
    if alg not in SIGNING:
        return {"cannot": f"it has no {alg}"}
    # It writes `typ: JWT` unless told otherwise; an empty one is left out.
    header = {"typ": "", **request["header"]}
    return {"token": jwt.encode(request["claims"], SIGNING[alg], algorithm=alg, headers=header)}


def check(request):
    alg = request["algorithm"]
    if alg not in SIGNING:
        return {"cannot": f"it has no {alg}"}
    try:
        key = ALGORITHMS[alg].from_jwk(json.dumps(request["jwk"]))
        return {"claims": jwt.decode(request["token"], key, algorithms=[alg], issuer=request["issuer"],
                                     audience=request["audience"])}
    except jwt.PyJWTError as error:
        return {"refused": type(error).__name__}


for line in sys.stdin:
    wish = json.loads(line)
    print(json.dumps({"keys": keys, "sign": sign, "check": check}[wish["do"]](wish)), flush=True)
