use super::*;

fn urls(issuer: &str) -> Vec<String> {
    discovery_urls(issuer).unwrap().into_iter().map(Into::into).collect()
}

#[test]
fn both_path_rules() {
    let bare = [
        "https://as.example/.well-known/openid-configuration",
        "https://as.example/.well-known/oauth-authorization-server",
    ];
    assert_eq!(urls("https://as.example"), bare);
    assert_eq!(urls("https://as.example/"), bare);
    let tenant = [
        "https://as.example/realms/main/.well-known/openid-configuration",
        "https://as.example/.well-known/oauth-authorization-server/realms/main",
    ];
    assert_eq!(urls("https://as.example/realms/main"), tenant);
    assert_eq!(urls("https://as.example/realms/main/"), tenant);
    assert_eq!(urls("http://127.0.0.1:8080")[0], "http://127.0.0.1:8080/.well-known/openid-configuration");
}

#[test]
fn what_is_no_issuer_is_refused() {
    for issuer in [
        "",
        "as.example",
        "/x",
        "urn:x",
        "file:///etc/passwd",
        "https://",
        "https://u@as.example",
        "https://u:p@as.example",
        "https://as.example?x",
        "https://as.example/#f",
        "https://as.example#",
        " https://as.example",
        "https:as.example",
        "https:/as.example",
        "https:\\\\as.example",
        "https://as.example/\n",
        "ftp://as.example",
        "HTTPS:/as.example",
    ] {
        assert_eq!(discovery_urls(issuer), Err(MetadataError::NotAnIssuer), "{issuer:?}");
    }
}

#[test]
fn a_document_is_read() {
    let document =
        br#"{"issuer":"https://as.example/","jwks_uri":"https://as.example/jwks","introspection_endpoint":
        "https://as.example/introspect","revocation_endpoint":null,"x":[1],
        "introspection_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt"]}"#;
    let metadata = Metadata::parse(document, "https://as.example/").unwrap();
    assert_eq!(metadata.issuer(), "https://as.example/");
    assert_eq!(metadata.jwks_uri(), Some("https://as.example/jwks"));
    assert_eq!(metadata.introspection_endpoint(), Some("https://as.example/introspect"));
    assert_eq!(metadata.revocation_endpoint(), None);
    assert_eq!(metadata.token_endpoint(), None);
    let methods = metadata.introspection_endpoint_auth_methods_supported().unwrap();
    assert_eq!(methods.iter().map(|m| &**m).collect::<Vec<_>>(), ["client_secret_basic", "private_key_jwt"]);
}

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    let named = |issuer: &str| {
        Metadata::parse(format!(r#"{{"issuer":"{issuer}"}}"#).as_bytes(), "https://as.example/a")
    };
    assert!(named("https://as.example/a").is_ok());
    for other in [
        "https://as.example/a/",
        "https://as.example/A",
        "https://AS.example/a",
        "https://as.example:443/a",
        "https://as.example/%61",
        "",
    ] {
        assert_eq!(named(other), Err(MetadataError::IssuerMismatch), "{other}");
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let read = |text: &str| Metadata::parse(text.as_bytes(), "https://a");
    for text in
        ["", "[]", "<html>", r#"{"issuer":"https://a","issuer":"https://a"}"#, r#"{"issuer":"https://a"}{"#]
    {
        assert_eq!(read(text), Err(MetadataError::NotAnObject), "{text}");
    }
    for text in ["{}", r#"{"issuer":null}"#, r#"{"issuer":["https://a"]}"#] {
        assert_eq!(read(text), Err(MetadataError::NoIssuer), "{text}");
    }
    for member in [
        r#""jwks_uri":7"#,
        r#""jwks_uri":"/jwks""#,
        r#""jwks_uri":"file:///x""#,
        r#""introspection_endpoint":"https://u:p@a/""#,
        r#""introspection_endpoint":["https://a"]"#,
        r#""introspection_endpoint_auth_methods_supported":"none""#,
        r#""introspection_endpoint_auth_methods_supported":[1]"#,
    ] {
        let text = format!(r#"{{"issuer":"https://a",{member}}}"#);
        assert_eq!(read(&text), Err(MetadataError::MalformedMember), "{text}");
    }
}

#[test]
fn aliases_for_mutual_tls_come_first_and_one_by_one() {
    let read = |aliases: &str| {
        let document = format!(
            r#"{{"issuer":"https://as.example","token_endpoint":"https://as.example/token",
            "introspection_endpoint":"https://as.example/introspect","mtls_endpoint_aliases":{aliases}}}"#
        );
        Metadata::parse(document.as_bytes(), "https://as.example")
    };
    let both = read(r#"{"introspection_endpoint":"https://mtls.as.example/i","x":1}"#).unwrap();
    assert_eq!(both.mtls_introspection_endpoint(), Some("https://mtls.as.example/i"));
    assert_eq!(both.mtls_token_endpoint(), Some("https://as.example/token"));
    assert_eq!(both.introspection_endpoint(), Some("https://as.example/introspect"));
    assert_eq!(read("null").unwrap().mtls_introspection_endpoint(), Some("https://as.example/introspect"));
    for malformed in ["[]", "1", r#"{"token_endpoint":1}"#, r#"{"token_endpoint":"ftp://x/y"}"#] {
        assert_eq!(read(malformed), Err(MetadataError::MalformedMember), "{malformed}");
    }
}
