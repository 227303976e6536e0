use super::*;

fn of(url: &str) -> Secrets {
    Secrets::of_url(&url.parse().unwrap())
}

#[test]
fn takes_out_path_query_and_userinfo() {
    let secrets =
        of("https://some-user:pass-word@example.org/v2/PathKey1?apikey=QueryKey2&BareKey3");
    let text = "v2: PathKey1, apikey QueryKey2, BareKey3, some-user, pass-word, example.org";
    let clean =
        "v2: [redacted], apikey [redacted], [redacted], [redacted], [redacted], example.org";
    assert_eq!(secrets.redact(text), clean);
}

#[test]
fn takes_out_the_parts_of_a_header() {
    let mut secrets = Secrets::default();
    secrets.add_header(&header::AUTHORIZATION, &HeaderValue::from_static("Bearer t0ken-abcdef"));
    secrets.add_header(&header::COOKIE, &HeaderValue::from_static("id=c00kie-ab; b=c00kie-cd"));
    let text = "Bearer t0ken-abcdef with c00kie-ab and b=c00kie-cd";
    assert_eq!(secrets.redact(text), "Bearer [redacted] with [redacted] and [redacted]");
}

#[test]
fn case_and_escapes_do_not_hide_a_key() {
    let secrets = of("https://example.org/aB%2Fc%2BdEfg");
    for text in ["ab/c+defg", "AB%2fC%2BDEFG", r"ab\/c\u002bdefg", "ab&#x2F;c&#43;defg"] {
        assert_eq!(secrets.redact(text), "[redacted]", "{text}");
    }
}

#[test]
fn a_short_key_is_taken_out_where_it_stands_alone() {
    let secrets = of("https://example.org/k3ys");
    assert_eq!(secrets.redact("key=k3ys; monk3ys"), "key=[redacted]; monk3ys");
}

#[test]
fn public_words_stay() {
    let secrets = of("https://example.org/v3/eth-mainnet/json_rpc/8453/abc?network=polygon-zkevm");
    let text = "v3 eth-mainnet json_rpc 8453 abc polygon-zkevm";
    assert!(matches!(secrets.redact(text), Cow::Borrowed(_)));
}

#[test]
fn no_part_of_a_key_stands_at_the_end_of_an_excerpt() {
    let secrets = of("https://example.org/abcdefghijklmnop");
    for padding in EXCERPT - 20..EXCERPT + 4 {
        let body = format!("abcdefghijklmnop{}abcdefghijklmnop rest", ".".repeat(padding - 16));
        let excerpt = secrets.excerpt(body.as_bytes());
        assert!(!excerpt.contains("ab"), "{padding}: {excerpt}");
        assert!(excerpt.len() <= EXCERPT + REDACTED.len());
    }
}

#[test]
fn a_key_that_is_half_a_character_is_no_panic() {
    let secrets = of("https://example.org/%A4%A4%A4%A4%A4%A4%A4%A4");
    let _ = secrets.redact("ä %A4%A4%A4%A4%A4%A4%A4%A4 €\u{a4}\u{a4}");
    let _ = secrets.excerpt("ä".repeat(2000).as_bytes());
}
