use super::*;

fn read(line: &str) -> Result<Vec<(String, Role)>, BadEndpoints> {
    let host = |id: &EndpointId| id.as_str().rsplit_once('-').unwrap().0.to_owned();
    let endpoints = line.parse::<Endpoints>()?.into_iter();
    Ok(endpoints.map(|endpoint| (host(endpoint.id()), endpoint.role())).collect())
}

fn refused(line: &str) -> String {
    line.parse::<Endpoints>().unwrap_err().to_string()
}

#[test]
fn s29_one_marked_endpoint_and_two_readers() {
    let line = "mev+https://rpc.mevblocker.io\nhttps://polygon-rpc.com \t https://bsc.org/a\r\n";
    let expected = [
        ("rpc.mevblocker.io".to_owned(), Role::Write),
        ("polygon-rpc.com".to_owned(), Role::Read),
        ("bsc.org".to_owned(), Role::Read),
    ];
    assert_eq!(read(line).unwrap(), expected);
    let endpoints = line.parse::<Endpoints>().unwrap();
    assert_eq!((endpoints.readers(), endpoints.writers()), (2, 1));
}

#[test]
fn without_a_mark_all_read_and_write() {
    let endpoints = "http://a.org http://b.org".parse::<Endpoints>().unwrap();
    assert_eq!((endpoints.readers(), endpoints.writers()), (2, 2));
    assert!(endpoints.into_iter().all(|endpoint| endpoint.role() == Role::ReadWrite));
    assert_eq!(read("MEV+HTTPS://A.org HTTP://localhost:8545").unwrap()[0].1, Role::Write);
}

#[test]
fn s30_a_line_without_a_url_is_refused() {
    assert_eq!(refused(""), "there is no URL of an endpoint");
    assert_eq!(refused(" \n\t"), "there is no URL of an endpoint");
}

#[test]
fn s31_a_url_without_a_scheme_is_refused() {
    let expected = "word 2 has no scheme: a URL begins with http:// or https://";
    for word in [
        "eth.org/v2/KEY",
        "localhost:8545",
        "user:KEY@eth.org",
        "mev+a.org",
        "://x",
        "data:x://KEY",
    ] {
        assert_eq!(refused(&format!("https://ok.org {word}")), expected, "{word}");
    }
}

#[test]
fn the_same_url_twice_is_refused_however_it_is_written() {
    let expected = "word 3 (eth.org) repeats word 1";
    let first = "https://eth.org/v2/KEY https://eth.org/v2/OTHER";
    for second in ["https://eth.org/v2/KEY", "HTTPS://ETH.org:443/v2/./KEY#x"] {
        assert_eq!(refused(&format!("{first} {second}")), expected);
    }
    let marked = "mev+http://a.org mev+http://a.org";
    assert_eq!(refused(marked), "word 2 (a.org) repeats word 1");
    // It may be sent the transactions and be read from.
    assert_eq!(read("mev+https://a.org https://a.org").unwrap().len(), 2);
}

#[test]
fn there_is_one_writer_at_most_and_one_reader_at_least() {
    let two = "mev+https://a.org https://b.org mev+https://c.org";
    assert_eq!(refused(two), "word 3 (c.org) is marked mev+, and word 1 too: only one can be");
    let alone = "word 1 (a.org) is marked mev+, and there is no other to be read from";
    assert_eq!(refused("mev+https://a.org/KEY"), alone);
}

#[test]
fn what_is_not_http_or_not_a_url_is_refused() {
    let not_http = "word 1 (eth.org) is not an HTTP URL: that begins with http:// or https://";
    for word in ["wss://eth.org/KEY", "htps://KEY@eth.org/v2/KEY", "mev+mev+https://eth.org"] {
        assert_eq!(refused(word), not_http, "{word}");
    }
    let nowhere = "word 1 is not an HTTP URL: that begins with http:// or https://";
    assert_eq!(refused("unix:///KEY"), "word 1 does not parse: empty host");
    assert_eq!(refused("data://?KEY"), nowhere);
    assert_eq!(refused("http://a.org https:///KEY"), "word 2 does not parse: empty host");
    assert_eq!(refused("https://"), "word 1 does not parse: empty host");
    assert_eq!(refused("https://a.org:KEY/"), "word 1 does not parse: invalid port number");
}

#[test]
fn s33_no_key_is_shown() {
    let words = [
        "https://eth.org/v2/s3cret",
        "https://eth.org/?apikey=s3cret",
        "https://user:s3cret@eth.org",
        "https://s3cret@eth.org/#s3cret",
        "eth.org/v2/s3cret",
        "eth.org:8545/s3cret",
        "user:s3cret@eth.org",
        "wss://user:s3cret@eth.org/s3cret",
        "https://eth.org:s3cret/",
        "https:///s3cret",
        "https:\\\\s3cret",
        "https://[s3cret]/",
        "data:s3cret://s3cret",
        "s3cret",
        // Found by fuzzing: the parser takes it for the host, and a later "://" hid that.
        "https:s3cret/v2?at=https://eth.org",
        "https:/s3cret/://",
    ];
    for word in words {
        for line in [word.to_owned(), format!("mev+{word}"), format!("{word} {word} https://b.org")]
        {
            let endpoints = line.parse::<Endpoints>();
            let shown = match &endpoints {
                Ok(endpoints) => format!("{endpoints} {endpoints:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
    let endpoints = "https://a.org/s3cret mev+https://b.org".parse::<Endpoints>().unwrap();
    let shown = endpoints.to_string();
    assert!(shown.starts_with("a.org-") && shown.contains(" mev+b.org-"), "{shown}");
}
