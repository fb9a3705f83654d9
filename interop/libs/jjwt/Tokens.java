// jjwt as a signer and a checker: one request a line on standard input, one answer a line on standard output; what they
// hold is told in ../README.md.

import com.fasterxml.jackson.databind.ObjectMapper;
import io.jsonwebtoken.JwtException;
import io.jsonwebtoken.Jwts;
import io.jsonwebtoken.security.Jwk;
import io.jsonwebtoken.security.Jwks;
import io.jsonwebtoken.security.MacAlgorithm;
import io.jsonwebtoken.security.SecureDigestAlgorithm;
import io.jsonwebtoken.security.SignatureAlgorithm;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.Key;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.crypto.SecretKey;

public final class Tokens {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Key> SIGNING = new HashMap<>();
    private static final List<Object> PUBLISHED = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        for (SecureDigestAlgorithm<?, ?> algorithm : Jwts.SIG.get().values()) {
            Map<String, Object> jwk;
            if (algorithm instanceof MacAlgorithm mac) {
                SecretKey key = mac.key().build();
                SIGNING.put(mac.getId(), key);
                // Its own JWKs hide their secrets when written as JSON.
                jwk = new LinkedHashMap<>(Map.of("kty", "oct", "k", base64url(key.getEncoded())));
            } else if (algorithm instanceof SignatureAlgorithm signature) {
                KeyPair pair = newPair(signature);
                SIGNING.put(signature.getId(), pair.getPrivate());
                jwk = new LinkedHashMap<>(Jwks.builder().key(pair.getPublic()).build());
            } else {
                continue; // `none`
            }
            jwk.putAll(Map.of("alg", algorithm.getId(), "kid", algorithm.getId(), "use", "sig"));
            PUBLISHED.add(jwk);
        }

        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> request = object(JSON.readValue(line, Map.class));
            System.out.println(JSON.writeValueAsString(answer(request)));
        }
    }

    private static Map<String, Object> answer(Map<String, Object> request) throws Exception {
        if (request.get("do").equals("keys")) {
            return Map.of("keys", PUBLISHED);
        }
        String algorithm = (String) request.get("algorithm");
        if (!SIGNING.containsKey(algorithm)) {
            return Map.of("cannot", "it has no " + algorithm);
        }
        return request.get("do").equals("sign") ? sign(algorithm, request) : check(request);
    }

    @SuppressWarnings({"unchecked", "deprecation"})
    private static <K extends Key> Map<String, Object> sign(String name, Map<String, Object> request) {
        var algorithm = (SecureDigestAlgorithm<K, ?>) Jwts.SIG.get().forKey(name);
        var claims = new LinkedHashMap<>(object(request.get("claims")));
        Object audience = claims.remove("aud");
        var builder = Jwts.builder();
        builder.header().add(object(request.get("header")));
        builder.claims(claims);
        // It makes a list of any audience, unless told so.
        if (audience instanceof String one) {
            builder.audience().single(one);
        } else if (audience != null) {
            builder.audience().add((List<String>) audience);
        }
        return Map.of("token", builder.signWith((K) SIGNING.get(name), algorithm).compact());
    }

    private static Map<String, Object> check(Map<String, Object> request) throws Exception {
        Map<String, Object> jwk = object(request.get("jwk"));
        var parser = Jwts.parser()
            .requireIssuer((String) request.get("issuer"))
            .requireAudience((String) request.get("audience"));
        if (jwk.get("kty").equals("oct")) {
            byte[] secret = Base64.getUrlDecoder().decode((String) jwk.get("k"));
            parser.verifyWith(io.jsonwebtoken.security.Keys.hmacShaKeyFor(secret));
        } else {
            Jwk<?> key = Jwks.parser().build().parse(JSON.writeValueAsString(jwk));
            parser.verifyWith((PublicKey) key.toKey());
        }
        try {
            var token = parser.build().parseSignedClaims((String) request.get("token"));
            if (!token.getHeader().getAlgorithm().equals(request.get("algorithm"))) {
                return Map.of("refused", "another algorithm");
            }
            return Map.of("claims", new LinkedHashMap<>(token.getPayload()));
        } catch (JwtException refused) {
            return Map.of("refused", refused.getClass().getSimpleName());
        }
    }

    // Left to itself, it makes RSA keys of up to 4096 bits, and Ed448 keys for EdDSA.
    private static KeyPair newPair(SignatureAlgorithm algorithm) throws Exception {
        if (algorithm.getId().matches("(RS|PS).*")) {
            var generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        }
        return algorithm.getId().equals("EdDSA") ? Jwks.CRV.Ed25519.keyPair().build() : algorithm.keyPair().build();
    }

    private static String base64url(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }
}
