//! Tokens of the simulated issuer, and a signature that costs nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verifier_core::algorithm::Algorithm;
use verifier_core::jwk::SkipReason;
use verifier_core::signature::{KeyMaterial, PreparedKey, SignatureBackend};

pub const ISSUER: &str = "https://issuer.example";
const KEY: [u8; 32] = [7; 32];

/// One token, with all that its issuer knows of it.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub jwt_id: String,
    pub subject: String,
    pub session: String,
    pub client: String,
    pub issued_at: i64,
    pub expires_at: i64,
    pub opaque: bool,
    pub forged: bool,
    /// Whether the JWT itself names jti, subject and session.
    pub names_all: bool,
}

impl Token {
    pub fn new(n: usize, issued_at: i64, lifetime: i64, opaque: bool, forged: bool, names_all: bool) -> Self {
        let mut token = Self {
            text: String::new(),
            jwt_id: format!("t{n}"),
            subject: format!("u{}", n % 3),
            session: format!("s{}", n % 4),
            client: "app".to_owned(),
            issued_at,
            expires_at: issued_at + lifetime,
            opaque,
            forged,
            names_all,
        };
        token.text = if opaque { format!("opaque-{n}") } else { token.jwt() };
        token
    }

    fn jwt(&self) -> String {
        let named = if self.names_all {
            format!(r#","jti":"{}","sub":"{}","sid":"{}""#, self.jwt_id, self.subject, self.session)
        } else {
            String::new()
        };
        let payload = format!(
            r#"{{"iss":"{ISSUER}","aud":"api","client_id":"{}","iat":{},"exp":{}{named},"n":"{}"}}"#,
            self.client, self.issued_at, self.expires_at, self.jwt_id
        );
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"k1"}"#);
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let key = if self.forged { [9; 32] } else { KEY };
        let signature = seal(input.as_bytes(), &key);
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the server says of it when it is active; slim: of its names only the client.
    pub fn answer(&self, slim: bool) -> String {
        let named = if slim {
            String::new()
        } else {
            format!(r#","jti":"{}","sub":"{}","sid":"{}""#, self.jwt_id, self.subject, self.session)
        };
        format!(
            r#"{{"active":true,"aud":"api","client_id":"{}","iat":{},"exp":{}{named}}}"#,
            self.client, self.issued_at, self.expires_at
        )
    }
}

pub fn key_set() -> String {
    let x = URL_SAFE_NO_PAD.encode(KEY);
    format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k1","x":"{x}","y":"{x}"}}]}}"#)
}

/// Stands in for a signature; enough to tell a key and a message from others.
fn seal(message: &[u8], key: &[u8]) -> [u8; 64] {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key.iter().chain(message) {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut seal = [0; 64];
    for (n, chunk) in seal.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&state.rotate_left(n as u32).to_le_bytes());
    }
    seal
}

#[derive(Debug)]
pub struct Seals;

#[derive(Debug)]
struct SealKey(Vec<u8>);

impl PreparedKey for SealKey {
    fn check(&self, message: &[u8], signature: &[u8]) -> bool {
        seal(message, &self.0) == signature
    }
}

impl SignatureBackend for Seals {
    fn prepare(&self, material: &KeyMaterial<'_>, _: Algorithm) -> Result<Box<dyn PreparedKey>, SkipReason> {
        match material {
            KeyMaterial::Ec { x, .. } => Ok(Box::new(SealKey(x.to_vec()))),
            _ => Err(SkipReason::Unusable),
        }
    }

    fn sha256(&self, message: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(&seal(message, b"hash")[..32]);
        hash
    }
}
