// golang-jwt as a signer and a checker: one request a line on standard input, one answer a line on standard output; what
// they hold is told in ../README.md. The package reads no JWKs: that part is the standard library's.
package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

type object = map[string]any

type request struct {
	Do        string            `json:"do"`
	Algorithm string            `json:"algorithm"`
	Header    object            `json:"header"`
	Claims    jwt.MapClaims     `json:"claims"`
	Token     string            `json:"token"`
	Jwk       map[string]string `json:"jwk"`
	Issuer    string            `json:"issuer"`
	Audience  string            `json:"audience"`
}

var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	"HS256", "HS384", "HS512"}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

var encode, decode = base64.RawURLEncoding.EncodeToString, base64.RawURLEncoding.DecodeString

func main() {
	signing, published := newKeys()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	for lines.Scan() {
		var wish request
		if err := json.Unmarshal(lines.Bytes(), &wish); err != nil {
			panic(err)
		}
		method := jwt.GetSigningMethod(wish.Algorithm)
		var answer object
		switch {
		case wish.Do == "keys":
			answer = object{"keys": published}
		case method == nil:
			answer = object{"cannot": "it has no " + wish.Algorithm}
		case wish.Do == "sign":
			answer = sign(method, signing[wish.Algorithm], wish)
		default:
			answer = check(wish)
		}
		if err := answers.Encode(answer); err != nil {
			panic(err)
		}
	}
}

func sign(method jwt.SigningMethod, key any, wish request) object {
	token := jwt.NewWithClaims(method, wish.Claims)
	delete(token.Header, "typ") // it writes "JWT" of its own
	for name, value := range wish.Header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	if err != nil {
		return object{"error": err.Error()}
	}
	return object{"token": text}
}

func check(wish request) object {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{wish.Algorithm}), jwt.WithIssuer(wish.Issuer),
		jwt.WithAudience(wish.Audience), jwt.WithExpirationRequired(), jwt.WithJSONNumber())
	_, err := parser.ParseWithClaims(wish.Token, claims, func(*jwt.Token) (any, error) { return publicKey(wish.Jwk) })
	if err != nil {
		return object{"refused": err.Error()}
	}
	return object{"claims": claims}
}

// One key an algorithm, and what is published of it.
func newKeys() (map[string]any, []object) {
	signing, published := map[string]any{}, []object{}
	for _, alg := range algorithms {
		var jwk object
		switch alg[:2] {
		case "HS":
			secret := make([]byte, map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg])
			must(rand.Read(secret))
			signing[alg], jwk = secret, object{"kty": "oct", "k": encode(secret)}
		case "ES":
			name := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg]
			key := must(ecdsa.GenerateKey(curves[name], rand.Reader))
			size := (key.Params().BitSize + 7) / 8
			signing[alg], jwk = key, object{"kty": "EC", "crv": name,
				"x": encode(key.X.FillBytes(make([]byte, size))), "y": encode(key.Y.FillBytes(make([]byte, size)))}
		case "Ed":
			public, private, err := ed25519.GenerateKey(rand.Reader)
			must(public, err)
			signing[alg], jwk = private, object{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
		default:
			key := must(rsa.GenerateKey(rand.Reader, 2048))
			signing[alg], jwk = key, object{"kty": "RSA", "n": encode(key.N.Bytes()),
				"e": encode(big.NewInt(int64(key.E)).Bytes())}
		}
		jwk["alg"], jwk["kid"], jwk["use"] = alg, alg, "sig"
		published = append(published, jwk)
	}
	return signing, published
}

func publicKey(jwk map[string]string) (crypto.PublicKey, error) {
	number := func(member string) *big.Int { return new(big.Int).SetBytes(must(decode(jwk[member]))) }
	switch strings.ToUpper(jwk["kty"]) {
	case "OCT":
		return decode(jwk["k"])
	case "EC":
		return &ecdsa.PublicKey{Curve: curves[jwk["crv"]], X: number("x"), Y: number("y")}, nil
	case "OKP":
		return ed25519.PublicKey(must(decode(jwk["x"]))), nil
	case "RSA":
		return &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}, nil
	}
	return nil, errors.New(fmt.Sprint("a key of type ", jwk["kty"]))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
